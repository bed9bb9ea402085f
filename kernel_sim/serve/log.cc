#include "kernel_sim/serve/log.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <exception>
#include <iterator>
#include <mutex>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>

#include "kernel_sim/base/file.h"

namespace ktlsim::serve {
namespace {

// Lines that wait for the writing thread. More push out the oldest.
constexpr std::size_t kQueueLines = 8192;

const char* LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
    case LogLevel::kOff:
      break;
  }
  return "off";
}

// "2026-11-21T10:00:00.123Z"
std::string TimeText() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  const std::time_t seconds = ms / 1000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, ms % 1000);
}

// A text that a peer chose, such as a name, must not look like a line of ours.
void AppendQuoted(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte >= 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(byte));
    } else {
      out += c;
    }
  }
  out += '"';
}

bool NeedsQuotes(std::string_view text) {
  if (text.empty()) return true;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7f || c == '"' || c == '\\' || c == '=') return true;
  }
  return false;
}

// A slow reader may hold up a line for this long; after that, lines are lost until it reads on.
constexpr int kSlowReaderMs = 1000;

// Writes whole lines to a descriptor. Failures are counted, nothing else.
class DescriptorSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit DescriptorSink(int descriptor, bool owned) : descriptor_(descriptor), owned_(owned) {
    set_pattern("%v");
  }
  ~DescriptorSink() override { Close(); }

  void Replace(int descriptor) {
    const std::lock_guard lock(mutex_);
    Close();
    descriptor_ = descriptor;
    owned_ = true;
    stuck_ = false;
  }
  std::uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    const char* at = message.payload.data();
    std::size_t left = message.payload.size();
    while (left > 0) {
      if (!WaitForRoom()) break;
      const ssize_t written = write(descriptor_, at, left);
      if (written < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (written <= 0) break;
      at += written;
      left -= static_cast<std::size_t>(written);
    }
    if (left > 0) lost_.fetch_add(1, std::memory_order_relaxed);
  }
  void flush_() override {}

 private:
  // A pipe or a terminal without a reader must not hold up the end of the process.
  bool WaitForRoom() {
    pollfd room{.fd = descriptor_, .events = POLLOUT, .revents = 0};
    const int ready = poll(&room, 1, stuck_ ? 0 : kSlowReaderMs);
    stuck_ = ready == 0;
    return ready != 0;
  }
  void Close() const {
    if (owned_) close(descriptor_);
  }

  int descriptor_;
  bool owned_;
  bool stuck_ = false;
  std::atomic<std::uint64_t> lost_{0};
};

Result<int> OpenFile(const std::string& file) {
  return OpenForWriting(file.c_str(), O_APPEND, 0640);
}

}  // namespace

class Log::Impl {
 public:
  Impl(std::string file, std::shared_ptr<DescriptorSink> sink)
      : file_(std::move(file)),
        sink_(std::move(sink)),
        thread_(std::make_shared<spdlog::details::thread_pool>(kQueueLines, 1)),
        logger_(std::make_shared<spdlog::async_logger>(
            "ktlsim", sink_, thread_, spdlog::async_overflow_policy::overrun_oldest)) {
    logger_->set_level(spdlog::level::trace);
    logger_->set_error_handler([this](const std::string&) { NoteUnmade(); });
  }

  void Write(const std::string& line) { logger_->log(spdlog::level::info, line); }
  Status Reopen() {
    if (file_.empty()) return {};
    const Result<int> descriptor = serve::OpenFile(file_);
    if (!descriptor.ok()) return descriptor.status();
    sink_->Replace(descriptor.value());
    return {};
  }
  std::uint64_t lost() const {
    return sink_->lost() + thread_->overrun_counter() + unmade_.load(std::memory_order_relaxed);
  }
  void NoteUnmade() { unmade_.fetch_add(1, std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> unmade_{0};  // outlives the thread
  const std::string file_;
  const std::shared_ptr<DescriptorSink> sink_;
  const std::shared_ptr<spdlog::details::thread_pool> thread_;
  const std::shared_ptr<spdlog::async_logger> logger_;
};

std::unique_ptr<Log> Log::Open(const LogOptions& options, std::string* error) {
  const bool owned = !options.file.empty();
  const Result<int> descriptor = owned ? serve::OpenFile(options.file) : STDERR_FILENO;
  if (!descriptor.ok()) {
    *error = options.file + ": " + descriptor.status().ToString() +
             "; name a file in a folder that exists";
    return nullptr;
  }
  std::shared_ptr<DescriptorSink> sink;
  try {
    sink = std::make_shared<DescriptorSink>(descriptor.value(), owned);
    return std::unique_ptr<Log>(new Log(options, std::make_unique<Impl>(options.file, sink)));
  } catch (const std::system_error& refusal) {
    *error = fmt::format("the thread that writes the log cannot be started: {}",
                         refusal.code().message());
  } catch (const std::bad_alloc&) {
    // What was made has closed it.
    if (owned && sink == nullptr) close(descriptor.value());
    *error = "out of memory";
  }
  return nullptr;
}

Log::Log(const LogOptions& options, std::unique_ptr<Impl> impl)
    : level_(options.level), json_(options.json), impl_(std::move(impl)) {}

Log::~Log() = default;

void Log::Write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  if (!Wants(level)) return;
  try {
    impl_->Write(FormatLogLine(json_, TimeText(), level, event, fields) + "\n");
  } catch (const std::exception&) {
    impl_->NoteUnmade();
  }
}

Status Log::Reopen() { return impl_->Reopen(); }
void Log::NoteLost() { impl_->NoteUnmade(); }
std::uint64_t Log::lost() const { return impl_->lost(); }

std::string FormatLogLine(bool json, std::string_view time, LogLevel level, std::string_view event,
                          std::initializer_list<LogField> fields) {
  std::string line;
  if (!json) {
    line = fmt::format("{} {} {}", time, LevelName(level), event);
    for (const LogField& field : fields) {
      line += fmt::format(" {}=", field.name);
      if (NeedsQuotes(field.value)) {
        AppendQuoted(line, field.value);
      } else {
        line += field.value;
      }
    }
    return line;
  }
  line = fmt::format("{{\"time\":\"{}\",\"level\":\"{}\",\"event\":", time, LevelName(level));
  AppendQuoted(line, event);
  for (const LogField& field : fields) {
    line += ',';
    AppendQuoted(line, field.name);
    line += ':';
    AppendQuoted(line, field.value);
  }
  return line + "}";
}

}  // namespace ktlsim::serve
