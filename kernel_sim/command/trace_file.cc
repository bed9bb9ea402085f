#include "kernel_sim/command/trace_file.h"

#include <fcntl.h>
#include <ktlsim/sspi_ext.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <exception>
#include <iterator>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/file.h"
#include "kernel_sim/base/level.h"
#include "kernel_sim/command/values.h"

namespace ktlsim::command {
namespace {

// How long finished records wait at most.
constexpr auto kPeriod = std::chrono::milliseconds(10);
// Kept for what Close writes.
constexpr std::uint64_t kTraceEndBytes = 16 << 10;
constexpr std::size_t kTraceShelvesMax = 64;

struct TraceStage {
  const char* name;
  std::uint64_t ktlsim::CallRecord::* begin;
  std::uint64_t ktlsim::CallRecord::* end;
};
constexpr TraceStage kTraceStages[] = {
    {"queued", &ktlsim::CallRecord::accepted_ns, &ktlsim::CallRecord::started_ns},
    {"served", &ktlsim::CallRecord::started_ns, &ktlsim::CallRecord::published_ns},
    {"notified", &ktlsim::CallRecord::published_ns, &ktlsim::CallRecord::callback_ns},
    {"callback", &ktlsim::CallRecord::callback_ns, &ktlsim::CallRecord::ended_ns}};

// What all events of a slice have, after their phase.
std::string TraceSliceText(const ktlsim::CallRecord& record) {
  return fmt::format("\",\"cat\":\"{}\",\"id\":\"0x{:x}\",\"pid\":{},\"tid\":{},\"name\":\"",
                     record.lane, record.number, record.processor + 1, record.processor + 1);
}

// One event. By hand: there are ten of a call. `arguments`: a JSON object, or nothing.
void AppendTraceEvent(std::string_view slice, char phase, std::string_view name, std::uint64_t ns,
                      std::string_view arguments, std::string* out) {
  *out += "{\"ph\":\"";
  *out += phase;
  *out += slice;
  *out += name;
  *out += "\",\"ts\":";
  // The unit is a microsecond.
  const fmt::format_int us(ns / 1000);
  out->append(us.data(), us.size());
  const auto rest = static_cast<unsigned>(ns % 1000);
  const char digits[] = {'.', static_cast<char>('0' + rest / 100),
                         static_cast<char>('0' + rest / 10 % 10),
                         static_cast<char>('0' + rest % 10)};
  out->append(digits, sizeof(digits));
  if (!arguments.empty()) {
    *out += ",\"args\":";
    *out += arguments;
  }
  *out += "},\n";
}

// Finalizer of SplitMix64.
std::uint64_t Mixed(std::uint64_t value) {
  value = (value ^ (value >> 30U)) * 0xBF58476D1CE4E5B9U;
  value = (value ^ (value >> 27U)) * 0x94D049BB133111EBU;
  return value ^ (value >> 31U);
}

// The same number for the same one. An address of this process would tell whoever reads the file
// where its memory is.
std::uint64_t OrderNumber(const void* order) {
  static const std::array<std::uint64_t, 2> keys = [] {
    std::array<std::uint64_t, 2> made{};
    // Without random bytes the numbers are less secret, and no less right.
    if (getrandom(made.data(), sizeof(made), 0) != sizeof(made)) made[0] = MonotonicClock::Now();
    return made;
  }();
  if (order == nullptr) return 0;
  return Mixed(Mixed(reinterpret_cast<std::uintptr_t>(order) ^ keys[0]) + keys[1]);
}

std::string TraceArguments(const ktlsim::CallRecord& record) {
  const char* const name = KtlsimStatusName(record.status);
  return fmt::format(
      "{{\"async_context\":\"0x{:x}\",\"order\":\"0x{:x}\",\"submitted_by\":\"{}\",\"status\":\"0x{"
      ":08x}\",\"status_name\":\"{}\",\"callback_on\":\"{}\"}}",
      record.async_context, OrderNumber(record.order),
      record.submitter == ktlsim::CallRecord::kForeign
          ? std::string("another thread")
          : fmt::format("processor {}", record.submitter),
      static_cast<std::uint32_t>(record.status), name != nullptr ? name : "",
      record.callback_ns == 0 ? "none" : (record.on_processor ? "processor" : "pool"));
}

}  // namespace

void AppendTraceEvents(const ktlsim::CallRecord& record, std::string* out) {
  const std::string slice = TraceSliceText(record);
  const std::string name = std::string(record.lane) + " call";
  AppendTraceEvent(slice, 'b', name, record.accepted_ns, TraceArguments(record), out);
  for (const TraceStage& stage : kTraceStages) {
    const std::uint64_t begin = record.*stage.begin;
    std::uint64_t end = record.*stage.end;
    // A call that was taken back has never been started: it was queued until its status.
    if (end == 0 && stage.begin == &ktlsim::CallRecord::accepted_ns) end = record.published_ns;
    if (begin == 0 || end == 0) continue;
    AppendTraceEvent(slice, 'b', stage.name, begin, "", out);
    AppendTraceEvent(slice, 'e', stage.name, end, "", out);
  }
  AppendTraceEvent(slice, 'e', name, record.ended_ns, "", out);
}

std::unique_ptr<TraceFile> TraceFile::Open(const TraceOptions& options, std::string* error) {
  if (options.file.empty()) return nullptr;
  try {
    Result<int> opened = OpenForWriting(options.file.c_str(), O_TRUNC, 0600);
    if (!opened.ok()) {
      *error = fmt::format("--trace {}: {}; name a file in a folder that exists",
                           Printable(options.file), opened.status().ToString());
      return nullptr;
    }
    std::unique_ptr<TraceFile> file(new TraceFile(options, *opened));
    CallTrace::Use(&file->trace_);
    return file;
  } catch (const std::exception& failure) {
    *error = fmt::format("--trace: {}", failure.what());
    return nullptr;
  }
}

TraceFile::TraceFile(const TraceOptions& options, int descriptor)
    : options_(options),
      file_(descriptor),
      trace_(options.sample,
             std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, kTraceShelvesMax)),
      text_("[\n") {
  // Signals are for the thread that waits for them.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    thread_ = std::thread([this] { Main(); });
  } catch (...) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TraceFile::~TraceFile() {
  CallTrace::Use(nullptr);
  Stop();
  // Records go back to their shelves.
  CallTrace::Taken rest(trace_);
  trace_.TakeFinished(&rest);
}

void TraceFile::Stop() {
  if (!thread_.joinable()) return;
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void TraceFile::Main() {
  pthread_setname_np(pthread_self(), "ktlsim-trace");
  for (bool stopping = false; !stopping;) {
    {
      MutexLock lock(mutex_);
      if (!stopping_) changed_.wait_for(mutex_, kPeriod);
      stopping = stopping_;
    }
    WriteFinished();
  }
}

void TraceFile::WriteFinished() {
  CallTrace::Taken taken(trace_);
  trace_.TakeFinished(&taken);
  taken.ForEach([this](const ktlsim::CallRecord& record) {
    if (Append(record)) return;
    ++beyond_;
    trace_.StopSampling();
  });
  WriteText();
}

// False: there is no room for it, in the file or in memory.
bool TraceFile::Append(const ktlsim::CallRecord& record) {
  const std::size_t before = text_.size();
  try {
    AppendTraceEvents(record, &text_);
  } catch (const std::bad_alloc&) {
    text_.resize(before);
    return false;
  }
  if (bytes_ + text_.size() + kTraceEndBytes <= options_.bytes_max) return true;
  text_.resize(before);
  return false;
}

void TraceFile::WriteText() {
  std::string_view rest = text_;
  while (!rest.empty() && error_ == 0) {
    const ssize_t written = write(file_.number(), rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      error_ = errno;
      trace_.StopSampling();
      break;
    }
    bytes_ += static_cast<std::uint64_t>(written);
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  text_.clear();
}

void TraceFile::NameProcessors() {
  KtlsimProcessorStatistics one{};
  one.cbSize = sizeof(one);
  for (ULONG i = 0; KtlsimQueryProcessorStatistics(i, &one) == SEC_E_OK; ++i) {
    // A role is of the command's own choice.
    fmt::format_to(std::back_inserter(text_),
                   "{{\"ph\":\"M\",\"pid\":{},\"name\":\"process_name\",\"args\":{{\"name\":"
                   "\"processor {} ({})\"}}}},\n",
                   i + 1, i, one.szRole);
    if (text_.size() > kTraceEndBytes / 2) break;
  }
}

std::string TraceFile::Close() {
  Stop();
  try {
    NameProcessors();
    fmt::format_to(
        std::back_inserter(text_),
        "{{\"ph\":\"M\",\"pid\":0,\"name\":\"process_name\",\"args\":{{\"name\":\"ktlsim: "
        "one call in {}; {} without a record, {} beyond the size\"}}}}\n]\n",
        options_.sample, trace_.dropped(), beyond_);
    WriteText();
  } catch (const std::bad_alloc&) {
    error_ = ENOMEM;
  }
  const std::string file = Printable(options_.file);
  if (error_ != 0) {
    return fmt::format("--trace {}: {}: it ends early", file, strerrordesc_np(error_));
  }
  if (beyond_ != 0) {
    return fmt::format("--trace {}: it ends early, at {} bytes (--trace-limit)", file,
                       options_.bytes_max);
  }
  if (trace_.dropped() == 0) return {};
  return fmt::format("--trace {}: {} calls are missing: the writer was too slow (--trace-sample)",
                     file, trace_.dropped());
}

}  // namespace ktlsim::command
