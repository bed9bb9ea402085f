#include "kernel_sim/command/command_line.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "kernel_sim/command/command.h"
#include "kernel_sim/command/similar.h"
#include "kernel_sim/command/values.h"

namespace ktlsim::command {
namespace {

constexpr std::size_t kWidthMin = 40;
constexpr std::size_t kWidthDefault = 80;
constexpr std::size_t kWidthMax = 120;
constexpr std::size_t kNameColumn = 30;

// CLI11's own formatter breaks no lines, and a terminal breaks them in the middle of words.
class WrappedHelp : public CLI::Formatter {
 public:
  std::string make_description(const CLI::App* app) const override {
    return WrapText(app->get_description(), HelpWidth(), 0) + "\n";
  }
  std::string make_footer(const CLI::App* app) const override {
    const std::string footer = app->get_footer();
    return footer.empty() ? footer : WrapText(footer, HelpWidth(), 0) + "\n";
  }
  std::string make_option(const CLI::Option* option, bool is_positional) const override {
    return Entry(make_option_name(option, is_positional) + make_option_opts(option),
                 option->get_description());
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    if (option->get_type_size() == 0 || option->get_type_name().empty()) return {};
    return " " + option->get_type_name();
  }
  std::string make_subcommand(const CLI::App* command) const override {
    return Entry(command->get_name(), command->get_description());
  }

 private:
  // A name and what it means, the meaning in a column of its own.
  static std::string Entry(const std::string& name, const std::string& meaning) {
    std::string entry = "  " + name;
    entry += entry.size() + 2 > kNameColumn ? "\n" + std::string(kNameColumn, ' ')
                                            : std::string(kNameColumn - entry.size(), ' ');
    const std::size_t room = std::max(HelpWidth(), kNameColumn + kWidthMin / 2) - kNameColumn;
    const std::string wrapped = WrapText(meaning, room, 0);
    for (const char c : wrapped) {
      entry += c;
      if (c == '\n') entry += std::string(kNameColumn, ' ');
    }
    return entry + "\n";
  }
};

std::vector<std::string> CommandNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!command->get_group().empty()) names.push_back(command->get_name());
  }
  return names;
}

// Long names with their dashes: "--queue-depth".
std::vector<std::string> OptionNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::string Joined(const std::vector<std::string>& names) {
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
  return all;
}

std::string Suggestion(std::string_view name, const std::vector<std::string>& known) {
  const std::string similar = SimilarName(name, known);
  return similar.empty() ? std::string() : fmt::format("; did you mean {}?", similar);
}

int Refuse(std::string_view command, const std::string& why, std::string_view help) {
  fmt::print(stderr, "ktlsim{}{}: {}\n`ktlsim{}{} --help` {}\n", command.empty() ? "" : " ",
             command, why, command.empty() ? "" : " ", command, help);
  return kExitUsage;
}

// Before parsing: CLI11 would report a missing subcommand where one was mistyped.
std::optional<int> RefuseUnknownCommand(const CLI::App& app, int argc, char** argv) {
  constexpr const char* kHelp = "explains the commands";
  const std::vector<std::string> names = CommandNames(app);
  if (argc < 2) {
    return Refuse("", fmt::format("a command is needed: {}", Joined(names)), kHelp);
  }
  const std::string_view first = argv[1];
  if (first.starts_with('-')) return {};
  if (std::find(names.begin(), names.end(), first) != names.end()) return {};
  const std::string similar = SimilarName(first, names);
  return Refuse(
      "",
      fmt::format("there is no command \"{}\"; {}", Printable(first),
                  similar.empty() ? "there are " + Joined(names) : "did you mean " + similar + "?"),
      kHelp);
}

std::string WhyExtra(const CLI::App& app, const CLI::App* command) {
  const std::vector<std::string> left = app.remaining(true);
  const auto option = std::find_if(left.begin(), left.end(),
                                   [](const std::string& text) { return text.starts_with("-"); });
  if (option == left.end()) {
    return fmt::format("\"{}\" is one argument too many",
                       left.empty() ? std::string() : Printable(left.front()));
  }
  const std::string name = option->substr(0, option->find('='));
  return fmt::format("there is no option {}{}", Printable(name),
                     Suggestion(name, OptionNames(command != nullptr ? *command : app)));
}

std::string WhyRefused(const CLI::App& app, const CLI::App* command, const CLI::ParseError& error) {
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) return WhyExtra(app, command);
  std::string text = error.what();
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    // "--seconds: 1 required N missing"
    const std::size_t colon = text.find(':');
    return fmt::format("{} takes a value, and none was given", text.substr(0, colon));
  }
  return text;
}

// Written once, before anything is started.
std::vector<std::string>& Given() {
  static std::vector<std::string> arguments;
  return arguments;
}

}  // namespace

std::string ShellText(std::span<const char* const> arguments) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+,./:@%[]";
  std::string text;
  for (const std::string_view argument : arguments) {
    if (!text.empty()) text += ' ';
    if (!argument.empty() && argument.find_first_not_of(kPlain) == std::string_view::npos) {
      text += argument;
      continue;
    }
    text += '\'';
    for (const char c : argument) {
      if (c == '\'') text += "'\\'";
      text += c;
    }
    text += '\'';
  }
  return text;
}

namespace {

// Where the value of a header field that is a secret begins; npos: there is none. Names that end
// so: Proxy-Authorization, X-Api-Key.
std::size_t SecretField(std::string_view argument) {
  std::string lower(argument);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  std::size_t first = std::string::npos;
  for (const std::string_view name :
       {"authorization", "cookie", "api-key", "apikey", "auth-token", "access-token"}) {
    for (std::size_t at = lower.find(name); at != std::string::npos;
         at = lower.find(name, at + 1)) {
      const std::size_t colon = lower.find_first_not_of(' ', at + name.size());
      if (colon != std::string::npos && lower[colon] == ':') first = std::min(first, colon + 1);
    }
  }
  return first;
}

}  // namespace

std::vector<std::string> WithoutPasswords(std::vector<std::string> arguments) {
  constexpr const char* kHidden = "***";
  bool of_digest = false;
  for (std::string& argument : arguments) {
    const bool joined = argument.starts_with("--digest=");
    if (of_digest || joined) {
      const std::size_t colon = argument.find(':');
      if (colon != std::string::npos) argument.replace(colon + 1, std::string::npos, kHidden);
    }
    of_digest = argument == "--digest";
    if (const std::size_t secret = SecretField(argument); secret != std::string::npos) {
      argument.replace(secret, std::string::npos, std::string(" ") + kHidden);
    }
    const std::size_t scheme = argument.find("://");
    const std::size_t at = argument.find('@', scheme);
    if (scheme != std::string::npos && at != std::string::npos) {
      argument.replace(scheme + 3, at - scheme - 3, kHidden);
    }
  }
  return arguments;
}

std::string GivenCommandLine() {
  std::vector<const char*> arguments;
  for (const std::string& argument : Given()) arguments.push_back(argument.c_str());
  return ShellText(arguments);
}

std::vector<std::string> GivenArguments() { return Given(); }

std::string WrapText(std::string_view text, std::size_t width, std::size_t indent) {
  std::string wrapped;
  std::size_t column = 0;
  std::size_t at = 0;
  while (at < text.size()) {
    if (text[at] == '\n') {
      wrapped += '\n';
      column = 0;
      ++at;
      continue;
    }
    const std::size_t blanks = std::min(text.find_first_not_of(' ', at), text.size()) - at;
    const std::size_t begin = at + blanks;
    const std::size_t end = std::min(text.find_first_of(" \n", begin), text.size());
    const std::string_view word = text.substr(begin, end - begin);
    at = end;
    if (word.empty()) continue;
    if (column != 0 && column + blanks + word.size() > width) {
      wrapped += '\n' + std::string(indent, ' ');
      column = indent;
    } else {
      wrapped.append(blanks, ' ');
      column += blanks;
    }
    wrapped += word;
    column += word.size();
  }
  return wrapped;
}

std::size_t OutputWidth(std::FILE* out, std::size_t otherwise) {
  winsize size{};
  const int fd = fileno(out);
  if (isatty(fd) != 0 && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col != 0) return size.ws_col;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing here writes the environment
  const char* const columns = std::getenv("COLUMNS");
  std::uint64_t number = 0;
  if (columns != nullptr && ParseCount(columns, 1, 100000, &number).empty()) return number;
  return otherwise;
}

std::size_t HelpWidth() {
  return std::clamp(OutputWidth(stdout, kWidthDefault), kWidthMin, kWidthMax);
}

void UseWrappedHelp(CLI::App& app) {
  const auto formatter = std::make_shared<WrappedHelp>();
  formatter->label("OPTIONS", "options");
  formatter->label("SUBCOMMAND", "COMMAND");
  formatter->label("Subcommands", "Commands");
  app.formatter(formatter);
  for (CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    command->formatter(formatter);
  }
}

std::optional<int> ParseCommandLine(CLI::App& app, int argc, char** argv) {
  Given() = WithoutPasswords({argv, argv + argc});
  if (const auto code = RefuseUnknownCommand(app, argc, argv)) return code;
  try {
    app.parse(argc, argv);
    return {};
  } catch (const CLI::Success& asked) {
    return app.exit(asked);
  } catch (const CLI::ParseError& error) {
    const std::vector<CLI::App*> chosen = app.get_subcommands();
    const CLI::App* const command = chosen.empty() ? nullptr : chosen.front();
    return Refuse(command != nullptr ? command->get_name() : "", WhyRefused(app, command, error),
                  "explains the options");
  }
}

}  // namespace ktlsim::command
