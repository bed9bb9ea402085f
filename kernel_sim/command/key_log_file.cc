#include "kernel_sim/command/key_log_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <openssl/crypto.h>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/file.h"

namespace ktlsim::command {
namespace {

constexpr const char* kVariable = "SSLKEYLOGFILE";
// A label, 32 bytes and a secret of at most 48 bytes in hexadecimal take some 200.
constexpr std::size_t kLineBytesMax = 512;

std::atomic<KeyLogFile*> in_use{nullptr};

Result<int> OpenFile(const std::string& path) {
  return OpenForWriting(path.c_str(), O_APPEND, 0600);
}

const char* ErrorText(int error) {
  const char* const text = strerrordesc_np(error);
  return text != nullptr ? text : "unknown error";
}

}  // namespace

std::unique_ptr<KeyLogFile> KeyLogFile::Open(const std::string& option, std::string* error) {
  // Not in a program that runs with more rights than its caller.
  const char* const variable = secure_getenv(kVariable);
  const bool from_environment = option.empty();
  const std::string path = !from_environment ? option : variable != nullptr ? variable : "";
  if (path.empty()) return nullptr;
  const Result<int> descriptor = OpenFile(path);
  if (!descriptor.ok()) {
    *error = fmt::format(
        "{}{}: {}; {}",
        from_environment ? "the environment variable SSLKEYLOGFILE: " : "--key-log: ", path,
        descriptor.status().ToString(),
        from_environment ? "unset it, or name a file that can be written"
                         : "name a file that can be written");
    return nullptr;
  }
  std::unique_ptr<KeyLogFile> file(new KeyLogFile(path, from_environment, descriptor.value()));
  KeyLogFile* none = nullptr;
  KTLSIM_CHECK(in_use.compare_exchange_strong(none, file.get()));
  return file;
}

KeyLogFile::KeyLogFile(std::string path, bool from_environment, int descriptor)
    : path_(std::move(path)), from_environment_(from_environment), descriptor_(descriptor) {}

KeyLogFile::~KeyLogFile() {
  in_use.store(nullptr);
  close(descriptor_);
}

KeyLogFile* KeyLogFile::InUse() { return in_use.load(std::memory_order_acquire); }

std::string KeyLogFile::Warning() const {
  std::string warning = fmt::format(
      "TLS secrets are written to {}, as {} asks: a reader of them can decrypt the "
      "traffic",
      path_, from_environment_ ? kVariable : "--key-log");
  struct stat facts{};
  if (fstat(descriptor_, &facts) != 0 || !S_ISREG(facts.st_mode)) return warning;
  if ((facts.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    warning +=
        fmt::format("; other users may have access to the file (mode {:03o}): chmod 600 ends that",
                    facts.st_mode & 0777);
  } else if (facts.st_uid != geteuid()) {
    warning += "; the file belongs to another user";
  }
  return warning;
}

std::string KeyLogFile::Losses() const {
  const std::uint64_t lost = lost_.load(std::memory_order_relaxed);
  if (lost == 0) return {};
  return fmt::format("{} line{} of the key log {} could not be written: {}", lost,
                     lost == 1 ? "" : "s", path_,
                     ErrorText(error_.load(std::memory_order_relaxed)));
}

Status KeyLogFile::Reopen() {
  const Result<int> fresh = OpenFile(path_);
  if (!fresh.ok()) return fresh.status();
  // In one step: a thread that writes meanwhile writes to the old file or to the new one.
  const int replaced = dup3(fresh.value(), descriptor_, O_CLOEXEC);
  const int error = errno;
  close(fresh.value());
  return replaced < 0 ? IoError(error, "put the file in place of the old one") : Status();
}

void KeyLogFile::OnLine(void* file, const char* line) {
  static_cast<KeyLogFile*>(file)->Write(line);
}

void KeyLogFile::Write(const char* line) {
  std::array<char, kLineBytesMax> whole;
  const std::string_view text(line);
  if (text.size() + 2 > whole.size()) {
    NoteLoss(EMSGSIZE);
    return;
  }
  std::size_t size = 0;
  if (torn_.exchange(false, std::memory_order_relaxed)) whole[size++] = '\n';
  size += text.copy(whole.data() + size, text.size());
  whole[size++] = '\n';
  ssize_t written = 0;
  do {
    written = write(descriptor_, whole.data(), size);
  } while (written < 0 && errno == EINTR);
  const int error = written < 0 ? errno : ENOSPC;
  OPENSSL_cleanse(whole.data(), size);
  if (written == static_cast<ssize_t>(size)) return;
  if (written > 0) torn_.store(true, std::memory_order_relaxed);
  NoteLoss(error);
}

void KeyLogFile::NoteLoss(int error) {
  if (lost_.fetch_add(1, std::memory_order_relaxed) != 0) return;
  error_.store(error, std::memory_order_relaxed);
  serve::Log* const log = log_.load(std::memory_order_acquire);
  if (log == nullptr) return;
  log->Write(serve::LogLevel::kError, "the key log cannot be written, connections go on",
             {{"file", path_}, {"reason", ErrorText(error)}});
}

}  // namespace ktlsim::command
