#include "kernel_sim/command/one_exchange.h"

#include <chrono>
#include <span>
#include <utility>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/mutex.h"
#include "kernel_sim/command/http_response_reader.h"
#include "kernel_sim/transport/processors.h"

namespace ktlsim::command {

using transport::Connection;
using transport::EndReason;

// The connection, on its loop, and what the waiting thread looks at.
class OneExchange::Line final : public transport::ConnectionHandler {
 public:
  Line(transport::ClientPath& path, std::vector<io::Address> peers,
       const transport::TlsProfile& profile)
      : path_(path), peers_(std::move(peers)), profile_(profile), loop_(*path.loops().front()) {}

  std::string Connect() {
    constexpr std::uint64_t kLimitNs = 10 * kNsPerSecond;
    std::string why = "there is no address";
    for (const io::Address& peer : peers_) {
      Set(State::kDialling);
      transport::RunOnLoop(loop_, [&] {
        connection_ = path_.Connect(loop_, peer, profile_, *this);
        if (connection_ == nullptr) return Set(State::kEnded);
        const MutexLock lock(mutex_);
        open_ = true;
      });
      if (Wait(kLimitNs) == State::kIdle) return {};
      Hang();
      why = peer.ToString() + ": " + (reason_.empty() ? "no connection" : reason_);
    }
    return why;
  }

  Answer Ask(const std::string& request, std::uint64_t limit_ns) {
    Answer answer;
    if (state() != State::kIdle) answer.error = Connect();
    if (!answer.error.empty()) return answer;
    transport::RunOnLoop(loop_, [&] {
      if (connection_ == nullptr) return;
      Set(State::kAsking);
      request_ = request;
      sent_ = 0;
      reader_.Reset();
      OnWritable(*connection_);
    });
    const State ended = Wait(limit_ns);
    if (ended == State::kAsking) Hang();
    if (ended != State::kIdle && ended != State::kAnswered) {
      answer.error = reason_.empty() ? "no whole response came" : reason_;
      return answer;
    }
    answer.status = reader_.status();
    answer.challenge = reader_.challenge();
    answer.authentication_info = reader_.authentication_info();
    // A server that closes after its response gets another connection.
    if (ended == State::kAnswered) Hang();
    return answer;
  }

  // Returns when there is no connection.
  void Hang() {
    transport::RunOnLoop(loop_, [&] {
      if (connection_ != nullptr) connection_->Abort();
    });
    const MutexLock lock(mutex_);
    changed_.wait(mutex_, [this]() KTLSIM_NO_THREAD_SAFETY { return !open_; });
  }

  void OnEstablished(Connection& /*connection*/) override { Set(State::kIdle); }
  void OnWritable(Connection& connection) override {
    const auto bytes = std::as_bytes(std::span(request_.data(), request_.size()));
    if (sent_ < bytes.size()) sent_ += connection.Send(bytes.subspan(sent_));
  }
  void OnPlaintext(Connection& connection, std::span<std::byte> plaintext) override {
    if (state() != State::kAsking) return connection.Abort();
    switch (reader_.Read(plaintext)) {
      case HttpResponseReader::Outcome::kNeedMore:
        return;
      case HttpResponseReader::Outcome::kComplete:
        return Set(reader_.keep_alive() ? State::kIdle : State::kAnswered);
      case HttpResponseReader::Outcome::kMalformed:
        return connection.Abort();
    }
  }
  void OnEnded(Connection& /*connection*/, const EndReason& reason) override {
    connection_ = nullptr;
    reason_ = reason.orderly() ? "" : reason.ToString();
    const MutexLock lock(mutex_);
    open_ = false;
    if (state_ != State::kAnswered) state_ = State::kEnded;
    changed_.notify_all();
  }

 private:
  enum class State : std::uint8_t {
    kNone,
    kDialling,
    kIdle,
    kAsking,
    kAnswered,  // the connection is not kept
    kEnded,
  };

  State state() {
    const MutexLock lock(mutex_);
    return state_;
  }
  void Set(State state) {
    const MutexLock lock(mutex_);
    state_ = state;
    changed_.notify_all();
  }
  // Until it neither dials nor asks, or the time is over.
  State Wait(std::uint64_t limit_ns) {
    const MutexLock lock(mutex_);
    changed_.wait_for(mutex_, std::chrono::nanoseconds(limit_ns), [this]() KTLSIM_NO_THREAD_SAFETY {
      return state_ != State::kDialling && state_ != State::kAsking;
    });
    return state_;
  }

  // Fixed.
  transport::ClientPath& path_;
  const std::vector<io::Address> peers_;
  const transport::TlsProfile& profile_;
  io::Loop& loop_;

  // The loop's; the waiting thread looks when the state says that it may.
  Connection* connection_ = nullptr;
  HttpResponseReader reader_{{}, HttpResponseReader::Challenges::kKept};
  std::string request_;
  std::size_t sent_ = 0;
  std::string reason_;

  Mutex mutex_;
  ConditionVariable changed_;
  State state_ KTLSIM_GUARDED_BY(mutex_) = State::kNone;
  bool open_ KTLSIM_GUARDED_BY(mutex_) = false;  // there is a connection, or one is dialled
};

OneExchange::OneExchange(transport::ClientPath& path, std::vector<io::Address> peers,
                         const transport::TlsProfile& profile)
    : line_(std::make_unique<Line>(path, std::move(peers), profile)) {}

OneExchange::~OneExchange() { line_->Hang(); }

std::string OneExchange::Connect() { return line_->Connect(); }

OneExchange::Answer OneExchange::Ask(const std::string& request, std::uint64_t limit_ns) {
  return line_->Ask(request, limit_ns);
}

}  // namespace ktlsim::command
