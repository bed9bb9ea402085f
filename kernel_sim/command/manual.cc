#include "kernel_sim/command/manual.h"

#include <algorithm>
#include <cstddef>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace ktlsim::command {
namespace {

constexpr std::string_view kMarker = ".\\\" OPTIONS ";

// "-c, --connections"
std::string NamesOf(const CLI::Option& option) {
  std::string names;
  for (const std::string& letter : option.get_snames()) names += "-" + letter + ", ";
  for (const std::string& name : option.get_lnames()) names += "--" + name + ", ";
  names.resize(names.size() - std::min<std::size_t>(names.size(), 2));
  return names;
}

std::string EntryOf(const CLI::Option& option) {
  const std::string names = EscapeRoff(NamesOf(option));
  const bool takes_value = option.get_type_size() != 0 && !option.get_type_name().empty();
  const std::string head =
      takes_value ? fmt::format(".BI \"{} \" \"{}\"", names, EscapeRoff(option.get_type_name()))
                  : fmt::format(".B \"{}\"", names);
  return fmt::format(".TP\n{}\n{}.\n", head, EscapeRoff(option.get_description()));
}

std::string OptionsOf(const CLI::App& command) {
  std::string entries;
  for (const CLI::Option* option : command.get_options()) {
    if (option->nonpositional() && option != command.get_help_ptr()) entries += EntryOf(*option);
  }
  return entries;
}

const CLI::App* FindCommand(const CLI::App& app, std::string_view name) {
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (command->get_name() == name) return command;
  }
  return nullptr;
}

}  // namespace

std::string EscapeRoff(std::string_view text) {
  std::string escaped;
  bool line_begins = true;
  for (const char c : text) {
    if (line_begins && (c == '.' || c == '\'')) escaped += "\\&";
    if (c == '\\') {
      escaped += "\\e";
    } else if (c == '-') {
      escaped += "\\-";
    } else if (c == '"') {
      escaped += "\\(dq";
    } else {
      escaped += c;
    }
    line_begins = c == '\n';
  }
  return escaped;
}

std::string FillManual(std::string_view page, const CLI::App& app) {
  std::string filled;
  while (!page.empty()) {
    const std::size_t end = std::min(page.find('\n'), page.size() - 1);
    const std::string_view line = page.substr(0, end + 1);
    page.remove_prefix(end + 1);
    const CLI::App* command = nullptr;
    if (line.starts_with(kMarker) && line.ends_with('\n')) {
      command = FindCommand(app, line.substr(kMarker.size(), line.size() - kMarker.size() - 1));
    }
    filled += command != nullptr ? OptionsOf(*command) : std::string(line);
  }
  return filled;
}

}  // namespace ktlsim::command
