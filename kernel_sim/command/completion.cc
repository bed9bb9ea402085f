#include "kernel_sim/command/completion.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace ktlsim::command {
namespace {

// What completes a value.
enum class Values : std::uint8_t { kNone, kText, kFiles, kFolders };

struct Option {
  std::vector<std::string> names;  // with their dashes
  Values values = Values::kNone;
  std::string help;
};

struct Command {
  std::string name;  // empty: the top level
  std::string help;
  std::vector<Option> options;
  Values arguments = Values::kNone;
};

Values ValuesOf(const CLI::Option& option) {
  const std::string& name = option.get_type_name();
  if (option.get_items_expected_max() == 0) return Values::kNone;
  if (name == "DIR") return Values::kFolders;
  if (name == "FILE") return Values::kFiles;
  return Values::kText;
}

// Up to the first clause, the default in brackets left out: one line of a list.
std::string Short(const std::string& help) {
  return help.substr(
      0, std::min({help.find('\n'), help.find(". "), help.find("; "), help.find(" [")}));
}

Command CommandOf(const CLI::App& app, std::string name) {
  Command command{.name = std::move(name),
                  .help = Short(app.get_description()),
                  .options = {},
                  .arguments = Values::kNone};
  for (const CLI::Option* const option : app.get_options()) {
    if (!option->nonpositional()) {
      // Positional: its name says what it is.
      const std::string& what = option->get_name(true);
      if (what == "FILE") command.arguments = Values::kFiles;
      continue;
    }
    Option& added = command.options.emplace_back();
    for (const std::string& letter : option->get_snames()) added.names.push_back("-" + letter);
    for (const std::string& word : option->get_lnames()) added.names.push_back("--" + word);
    added.values = ValuesOf(*option);
    added.help = Short(option->get_description());
  }
  return command;
}

std::vector<Command> CommandsOf(const CLI::App& app) {
  std::vector<Command> commands = {CommandOf(app, "")};
  for (const CLI::App* const command : app.get_subcommands([](const CLI::App*) { return true; })) {
    commands.push_back(CommandOf(*command, command->get_name()));
  }
  return commands;
}

// In single quotes for every shell here: fish alone reads backslashes in them.
std::string Quoted(std::string_view text, bool fish) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') {
      quoted += fish ? "\\'" : "'\\''";
    } else if (c == '\\' && fish) {
      quoted += "\\\\";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

std::string AllNames(const Command& command) {
  std::string all;
  for (const Option& option : command.options) {
    for (const std::string& name : option.names) all.append(all.empty() ? "" : " ").append(name);
  }
  return all;
}

// The names of the options whose values are `values`, as a pattern of `case`; empty: there is none.
std::string Pattern(const Command& command, Values values) {
  std::string pattern;
  for (const Option& option : command.options) {
    if (option.values != values) continue;
    for (const std::string& name : option.names)
      pattern.append(pattern.empty() ? "" : " | ").append(name);
  }
  return pattern;
}

std::string SubcommandNames(const std::vector<Command>& commands) {
  std::string names;
  for (const Command& command : commands) {
    if (!command.name.empty()) names.append(names.empty() ? "" : " ").append(command.name);
  }
  return names;
}

// ---- bash

std::string BashCase(const Command& command) {
  std::string text = fmt::format("    {})\n      options='{}'\n      case $before in\n",
                                 command.name.empty() ? "''" : command.name, AllNames(command));
  const auto arm = [&text, &command](Values values, const char* action) {
    const std::string pattern = Pattern(command, values);
    if (!pattern.empty()) text += fmt::format("        {}) {} ;;\n", pattern, action);
  };
  arm(Values::kFiles, "kind=file");
  arm(Values::kFolders, "kind=folder");
  arm(Values::kText, "kind=text");
  text += fmt::format("        *) kind={} ;;\n      esac\n      ;;\n",
                      command.arguments == Values::kFiles ? "argument" : "none");
  return text;
}

std::string Bash(const std::vector<Command>& commands) {
  std::string cases;
  for (const Command& command : commands) cases += BashCase(command);
  return fmt::format(R"(# bash completion of ktlsim, made from its options.
_ktlsim() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}} command='' options='' kind=none
  # The line is broken at an equals sign, too.
  if [[ $word == = ]]; then word=''; elif [[ $before == = ]]; then before=${{COMP_WORDS[COMP_CWORD - 2]}}; fi
  if ((COMP_CWORD > 1)) && [[ ${{COMP_WORDS[1]}} != -* ]]; then command=${{COMP_WORDS[1]}}; fi
  case $command in
{}    *) return ;;
  esac
  COMPREPLY=()
  case $kind in
    file) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
    folder) mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
    text) return ;;
    *)
      if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
      elif ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W '{}' -- "$word")
      elif [[ $kind == argument ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
      fi
      ;;
  esac
}}
complete -o filenames -F _ktlsim ktlsim
)",
                     cases, SubcommandNames(commands));
}

// ---- zsh

// Of _arguments: brackets, colons and backslashes have a meaning.
std::string ZshText(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

const char* ZshAction(Values values) {
  switch (values) {
    case Values::kNone:
      return "";
    case Values::kText:
      return ":value: ";
    case Values::kFiles:
      return ":file:_files";
    case Values::kFolders:
      return ":folder:_files -/";
  }
  return "";
}

std::string ZshOptions(const Command& command) {
  std::string text;
  for (const Option& option : command.options) {
    for (const std::string& name : option.names) {
      const bool joined = option.values != Values::kNone && name.starts_with("--");
      text += fmt::format("        {} \\\n",
                          Quoted(fmt::format("*{}{}[{}]{}", name, joined ? "=" : "",
                                             ZshText(option.help), ZshAction(option.values)),
                                 false));
    }
  }
  return text;
}

std::string Zsh(const std::vector<Command>& commands) {
  std::string names;
  std::string cases;
  for (const Command& command : commands) {
    if (command.name.empty()) continue;
    names += "    " + Quoted(command.name + ":" + ZshText(command.help), false) + "\n";
    cases += fmt::format("    {})\n      _arguments \\\n{}        '*:argument:{}'\n      ;;\n",
                         command.name, ZshOptions(command),
                         command.arguments == Values::kFiles ? "_files" : " ");
  }
  return fmt::format(R"(#compdef ktlsim
# zsh completion of ktlsim, made from its options.
_ktlsim() {{
  local -a commands=(
{}  )
  if ((CURRENT == 2)); then
    if [[ $PREFIX == -* ]]; then
      _arguments \
{}        '*: : '
    else
      _describe command commands
    fi
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT--))
  case $command in
{}  esac
}}
_ktlsim "$@"
)",
                     names, ZshOptions(commands.front()), cases);
}

// ---- fish

std::string Fish(const std::vector<Command>& commands) {
  std::string text = "# fish completion of ktlsim, made from its options.\ncomplete -c ktlsim -f\n";
  for (const Command& command : commands) {
    const bool top = command.name.empty();
    const std::string condition =
        top ? "__fish_use_subcommand" : "__fish_seen_subcommand_from " + command.name;
    if (!top) {
      text += fmt::format("complete -c ktlsim -n __fish_use_subcommand -a {} -d {}\n", command.name,
                          Quoted(command.help, true));
      if (command.arguments == Values::kFiles) {
        text += fmt::format("complete -c ktlsim -n '{}' -F\n", condition);
      }
    }
    for (const Option& option : command.options) {
      text += fmt::format("complete -c ktlsim -n '{}'", condition);
      for (const std::string& name : option.names) {
        const bool word = name.starts_with("--");
        text += fmt::format(" -{} {}", word ? "l" : "s", name.substr(word ? 2 : 1));
      }
      if (option.values == Values::kText) text += " -x";
      if (option.values == Values::kFiles) text += " -r -F";
      if (option.values == Values::kFolders) text += " -x -a '(__fish_complete_directories)'";
      text += fmt::format(" -d {}\n", Quoted(option.help, true));
    }
  }
  return text;
}

}  // namespace

std::string ShellCompletion(std::string_view shell, const CLI::App& app) {
  const std::vector<Command> commands = CommandsOf(app);
  if (shell == "bash") return Bash(commands);
  if (shell == "zsh") return Zsh(commands);
  if (shell == "fish") return Fish(commands);
  return {};
}

}  // namespace ktlsim::command
