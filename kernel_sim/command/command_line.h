// The command line as a whole: its help, and the messages for a mistyped one.
#pragma once

#include <cstddef>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}  // namespace CLI

namespace ktlsim::command {

// `text` in lines of at most `width` columns, broken at blanks; further lines begin with `indent`
// blanks. A word that is longer than a line stays whole. Line breaks of the text stay.
std::string WrapText(std::string_view text, std::size_t width, std::size_t indent);

// Columns of the terminal that `out` is; else of COLUMNS; else `otherwise`.
std::size_t OutputWidth(std::FILE* out, std::size_t otherwise);

// OutputWidth of standard output, 80 where the width is unknown; from 40 to 120.
std::size_t HelpWidth();

// Help of `app` and of its subcommands in lines of HelpWidth().
void UseWrappedHelp(CLI::App& app);

// `arguments` as a shell takes them: quoted where that is needed.
std::string ShellText(std::span<const char* const> arguments);

// `arguments` without the passwords that may be in them: what follows the colon of --digest, what
// stands before the @ of a URL, and the values of header fields that are secrets (Authorization,
// Cookie, API keys and the like).
std::vector<std::string> WithoutPasswords(std::vector<std::string> arguments);

// The command line that ParseCommandLine was given, without passwords.
std::string GivenCommandLine();
// The same, argument by argument.
std::vector<std::string> GivenArguments();

// Parses. Empty: one subcommand was chosen, and its values can be used. Else the exit code: help or
// the version was printed, or standard error says what is wrong and what would be right.
std::optional<int> ParseCommandLine(CLI::App& app, int argc, char** argv);

}  // namespace ktlsim::command
