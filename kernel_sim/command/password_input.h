// A password as a person or a program gives it: typed at the terminal without echo, or the first
// line of standard input. Never an argument, which everybody on the machine can read.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace ktlsim::command {

// Wiped when it is destroyed, and never moved to other memory.
class Password {
 public:
  static constexpr std::size_t kBytesMax = 1023;

  Password() = default;
  ~Password();
  Password(const Password&) = delete;
  Password& operator=(const Password&) = delete;

  std::string_view text() const { return {bytes_.data(), size_}; }
  // Takes one that is UTF-8, not empty, not too long, and without control characters. Empty: done;
  // else what is wrong with it, without the password.
  std::string Set(std::string_view text);

 private:
  std::array<char, kBytesMax + 1> bytes_{};
  std::size_t size_ = 0;
};

enum class Asked { kOnce, kTwice };

// The first line of the regular file `path`. Empty: done; else what is wrong. Passive level.
std::string ReadPasswordFile(const std::string& path, Password* password);

// Where standard input is a terminal, asks there for "Password for `whose`: ", for a new password
// twice. Else reads the first line of standard input. Empty: done; else what is wrong. Passive
// level; waits for a person.
std::string ReadPassword(std::string_view whose, Asked asked, Password* password);

}  // namespace ktlsim::command
