// Log: lines with named fields, as text or as JSON, written by a thread of their own.
//
// What a newcomer gets wrong: writing a line never waits and never fails. A full disk, a closed
// pipe or more lines than can be written cost lines, which are counted (lost), and nothing else.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "kernel_sim/base/status.h"

namespace ktlsim::serve {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError, kOff };

struct LogOptions {
  LogLevel level = LogLevel::kInfo;
  std::string file;   // empty: standard error
  bool json = false;  // a JSON object a line
};

struct LogField {
  std::string_view name;
  std::string_view value;  // until Write returns
};

class Log {
 public:
  // Null: the file cannot be opened (OpenForWriting: a FIFO is refused), and `*error` says why.
  // Passive level. The program must ignore SIGPIPE and SIGXFSZ.
  static std::unique_ptr<Log> Open(const LogOptions& options, std::string* error);
  // Writes what waits.
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // `event` in plain words: "handshake failed". Any thread, any level; allocates, and counts the
  // line as lost when there is no memory.
  void Write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});
  bool Wants(LogLevel level) const { return level >= level_; }

  // Opens the file again, under the same name, after it was renamed. Failure (as OpenForWriting):
  // it cannot be opened, and the old one is kept. Passive level, any thread.
  Status Reopen();

  // Counts a line that could not even be formatted. Any thread, any level.
  void NoteLost();
  // Lines that were not written.
  std::uint64_t lost() const;

 private:
  class Impl;
  Log(const LogOptions& options, std::unique_ptr<Impl> impl);

  const LogLevel level_;
  const bool json_;
  const std::unique_ptr<Impl> impl_;
};

// One line, without its end: for tests.
std::string FormatLogLine(bool json, std::string_view time, LogLevel level, std::string_view event,
                          std::initializer_list<LogField> fields);

}  // namespace ktlsim::serve
