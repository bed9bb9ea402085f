// Shell completion: made from the same tables as the command line, as the manual page is.
#pragma once

#include <string>
#include <string_view>

namespace CLI {
class App;
}  // namespace CLI

namespace ktlsim::command {

// The script that completes `app` in a shell: "bash", "zsh" or "fish". Empty: another shell. It
// completes commands, their options, and after an option what its value's name says: files after
// FILE and PATH, folders after DIR.
std::string ShellCompletion(std::string_view shell, const CLI::App& app);

}  // namespace ktlsim::command
