// The manual page: its options are made from the same tables as the command line.
#pragma once

#include <string>
#include <string_view>

namespace CLI {
class App;
}  // namespace CLI

namespace ktlsim::command {

// `page` in roff, with each line `.\" OPTIONS <command>` replaced by the options of that command.
// Lines that name no command stay as they are.
std::string FillManual(std::string_view page, const CLI::App& app);

// `text` as roff shows it: backslashes and hyphens escaped, and no line that begins as a request.
std::string EscapeRoff(std::string_view text);

}  // namespace ktlsim::command
