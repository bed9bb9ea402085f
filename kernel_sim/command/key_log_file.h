// KeyLogFile: the file to which a command appends the TLS secrets of its connections, in the NSS
// key log format, when its user asks for that.
//
// Lines are whole and do not mix: each is one write to a file opened for appending. A line that
// cannot be written is counted and reported once, and ends no connection.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "kernel_sim/base/status.h"
#include "kernel_sim/serve/log.h"

namespace ktlsim::command {

class KeyLogFile {
 public:
  // The file that `option` names, else the environment variable SSLKEYLOGFILE; neither: null and no
  // error. It is made for its owner alone (0600), and becomes InUse: for one at a time. Then
  // credentials.h records what it makes.
  //
  // Null and `*error`: the file cannot be written; `*error` says which of the two named it, and the
  // remedy. Passive level, before the first credential is made.
  static std::unique_ptr<KeyLogFile> Open(const std::string& option, std::string* error);
  // The library has stopped.
  ~KeyLogFile();
  KeyLogFile(const KeyLogFile&) = delete;
  KeyLogFile& operator=(const KeyLogFile&) = delete;

  // The one that is open, or null.
  static KeyLogFile* InUse();

  // A warning for the operator: which setting named the file, what a reader of it can do, and
  // whether other users can read it.
  std::string Warning() const;

  // From now on the first lost line is reported to `log`, which outlives this object.
  void TellLosses(serve::Log* log) { log_.store(log, std::memory_order_release); }
  // "3 lines ... lost: No space left on device". Empty: none was.
  std::string Losses() const;

  // Opens the file again, as it is called now. Failure: the old one is kept. Passive level.
  Status Reopen();

  // For KTLSIM_ATTR_KEY_LOG; `file`: a KeyLogFile. Any thread, any level.
  static void OnLine(void* file, const char* line);

 private:
  KeyLogFile(std::string path, bool from_environment, int descriptor);
  void Write(const char* line);
  void NoteLoss(int error);

  const std::string path_;
  const bool from_environment_;
  const int descriptor_;  // its number stays; Reopen puts another file in its place
  std::atomic<serve::Log*> log_{nullptr};
  std::atomic<std::uint64_t> lost_{0};
  std::atomic<int> error_{0};      // errno of the first loss
  std::atomic<bool> torn_{false};  // the file ends in the middle of a line
};

}  // namespace ktlsim::command
