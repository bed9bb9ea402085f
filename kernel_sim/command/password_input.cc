#include "kernel_sim/command/password_input.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/ui.h>

#include "kernel_sim/base/file.h"
#include "kernel_sim/digest/charset.h"

namespace ktlsim::command {
namespace {

// One more than a password has, to see that it is too long; and a NUL.
using Line = std::array<char, Password::kBytesMax + 2>;

// Wiped like the password that it holds.
struct Secret {
  ~Secret() { OPENSSL_cleanse(line.data(), line.size()); }
  Line line{};
};

struct FreeUi {
  void operator()(UI* ui) const { UI_free(ui); }
};

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

// OpenSSL switches the echo off, and on again whatever signal comes meanwhile.
std::string ReadFromTerminal(std::string_view whose, Asked asked, Password* password) {
  Secret first;
  Secret second;
  const std::string prompt = fmt::format("Password for {}: ", whose);
  const std::string again = fmt::format("The same again for {}: ", whose);
  const std::unique_ptr<UI, FreeUi> ui(UI_new_method(UI_OpenSSL()));
  constexpr int kMost = static_cast<int>(sizeof(Line)) - 1;
  const bool ready =
      ui != nullptr &&
      UI_add_input_string(ui.get(), prompt.c_str(), 0, first.line.data(), 0, kMost) >= 0 &&
      (asked == Asked::kOnce ||
       UI_add_input_string(ui.get(), again.c_str(), 0, second.line.data(), 0, kMost) >= 0);
  if (!ready || UI_process(ui.get()) != 0) {
    return "no password was typed; nothing has changed";
  }
  const std::string_view typed(first.line.data());
  if (asked == Asked::kTwice && typed != std::string_view(second.line.data())) {
    return "the two passwords differ; nothing has changed";
  }
  return password->Set(typed);
}

// What comes after the line belongs to whoever reads next, so it is read byte by byte.
std::string ReadFromInput(Password* password) {
  Secret read_so_far;
  std::size_t bytes = 0;
  while (bytes < Password::kBytesMax + 1) {
    const ssize_t got = read(STDIN_FILENO, read_so_far.line.data() + bytes, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return fmt::format("standard input cannot be read: {}",
                         std::generic_category().message(errno));
    }
    if (got == 0 || read_so_far.line[bytes] == '\n') break;
    ++bytes;
  }
  return password->Set({read_so_far.line.data(), bytes});
}

}  // namespace

Password::~Password() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

std::string Password::Set(std::string_view text) {
  if (text.empty()) return "the password is empty; type one, or give it on standard input";
  if (text.size() > kBytesMax)
    return fmt::format("the password is longer than {} bytes", kBytesMax);
  if (std::ranges::any_of(text, IsControl)) return "the password has a control character";
  if (!digest::IsUtf8(text)) return "the password is not UTF-8";
  std::memcpy(bytes_.data(), text.data(), text.size());
  size_ = text.size();
  return {};
}

std::string ReadPasswordFile(const std::string& path, Password* password) {
  constexpr std::size_t kFileBytesMax = 4096;
  const Result<FileText> file = ReadFile(path.c_str(), kFileBytesMax);
  if (!file) return fmt::format("{}: {}", path, file.status().ToString());
  const std::string_view text = file->text();
  const std::string wrong = password->Set(text.substr(0, text.find('\n')));
  return wrong.empty() ? wrong : path + ": " + wrong;
}

std::string ReadPassword(std::string_view whose, Asked asked, Password* password) {
  return isatty(STDIN_FILENO) != 0 ? ReadFromTerminal(whose, asked, password)
                                   : ReadFromInput(password);
}

}  // namespace ktlsim::command
