#include "kernel_sim/command/stress/wire_worker.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "io/seeded_random.h"
#include "kernel_sim/base/clock.h"
#include "kernel_sim/command/http_response_reader.h"
#include "kernel_sim/command/stress/wire_client.h"
#include "kernel_sim/serve/http_response.h"
#include "kernel_sim/transport/end_reason.h"

namespace ktlsim::command {
namespace {

using A = StressActivity;

// No worker waits longer for the server to end a connection.
constexpr int kEndLimitMs = 20000;
constexpr std::size_t kRecordMax = 16384;

std::span<const unsigned char> BytesOf(const std::string& text) {
  return {reinterpret_cast<const unsigned char*>(text.data()), text.size()};
}

std::string Request(std::uint64_t body_bytes) {
  return fmt::format("GET /bytes/{} HTTP/1.1\r\nHost: {}\r\n\r\n", body_bytes, kStressServerName);
}

class WireWorker {
 public:
  // Its first act is the habit with the number `first`, modulo their count.
  WireWorker(StressRound& round, std::uint64_t seed, unsigned first);
  void RunOne();

 private:
  // How an exchange is made.
  struct Manner {
    std::uint64_t body_bytes = 1000;
    bool half_close = false;
    std::size_t read_bytes = 64 * 1024;
    unsigned read_gap_us = 0;
    unsigned write_gap_us = 0;
    bool update_keys = false;  // before the request, the server's too
  };
  enum class Verdict : std::uint8_t { kRight, kUnanswered, kWrong, kOurEnd };

  const CredHandle& Credential() {
    return round_.pairs[random_.Below(round_.pairs.size())].client.handle();
  }
  bool ending() const { return round_.ending.load(std::memory_order_relaxed); }
  void Count(StressOutcome outcome) { round_.tally.Add(activity_, outcome); }
  void Broken(const std::string& what);
  // Reports a missing response: a violation on the server that is always there, but expected of the
  // other one.
  void Unanswered(const std::string& what);
  void ExpectEnd(WireClient& client);
  bool Connect(const WireClient& client);
  bool Establish(WireClient& client, const Manner& manner);
  bool Establish(WireClient& client) { return Establish(client, Manner()); }
  bool SendRequest(WireClient& client, const Manner& manner);
  Verdict ReadAnswer(WireClient& client, const Manner& manner);
  void Exchange(WireClient& client, const Manner& manner);
  void Leave(WireClient& client);
  WireBytes Garbage(std::size_t bytes);
  void SendAndExpectEnd(const WireBytes& bytes);

  // What a worker does: each dials, acts and counts.
  void Canary();
  void KeyUpdate();
  void HalfClose();
  void SlowReader();
  void SlowWriter();
  void Silent();
  void SendGarbage() { SendAndExpectEnd(Garbage(random_.Between(1, 2 * kRecordMax))); }
  void PlainHttp();
  void TruncatedHello();
  void OversizedRecord();
  void Flood();
  void FloodEstablished();
  void Corrupted();
  void AbortSomewhere();

  struct Habit {
    A activity;
    void (WireWorker::*act)();
  };
  static const std::array<Habit, 15> kHabits;

  StressRound& round_;
  io::SeededRandom random_;
  std::vector<const Habit*> habits_;
  std::size_t next_ = 0;
  A activity_ = A::kCanary;
  io::Address peer_;
  bool steady_ = true;
};

// Twice the canary: half as much again as anything else.
constexpr std::array<WireWorker::Habit, 15> WireWorker::kHabits = {
    Habit{A::kCanary, &WireWorker::Canary},
    Habit{A::kCanary, &WireWorker::Canary},
    Habit{A::kKeyUpdate, &WireWorker::KeyUpdate},
    Habit{A::kHalfClose, &WireWorker::HalfClose},
    Habit{A::kSlowReader, &WireWorker::SlowReader},
    Habit{A::kSlowWriter, &WireWorker::SlowWriter},
    Habit{A::kSilent, &WireWorker::Silent},
    Habit{A::kGarbage, &WireWorker::SendGarbage},
    Habit{A::kPlainHttp, &WireWorker::PlainHttp},
    Habit{A::kTruncatedHello, &WireWorker::TruncatedHello},
    Habit{A::kOversizedRecord, &WireWorker::OversizedRecord},
    Habit{A::kFlood, &WireWorker::Flood},
    Habit{A::kCorrupted, &WireWorker::Corrupted},
    Habit{A::kAbort, &WireWorker::AbortSomewhere},
    Habit{A::kReset, &WireWorker::AbortSomewhere},
};

WireWorker::WireWorker(StressRound& round, std::uint64_t seed, unsigned first)
    : round_(round), random_(seed) {
  for (const Habit& habit : kHabits) {
    if (!IsFault(habit.activity) || Has(round.faults, habit.activity)) habits_.push_back(&habit);
  }
  next_ = first % habits_.size();
}

void WireWorker::Broken(const std::string& what) {
  round_.evidence.Add(fmt::format("{}: {}", StressActivityName(activity_), what));
}

void WireWorker::Unanswered(const std::string& what) {
  if (steady_) {
    Broken(what);
  } else {
    Count(StressOutcome::kCut);
  }
}

bool WireWorker::Connect(const WireClient& client) {
  if (client.connected()) return true;
  Unanswered("no connection");
  return false;
}

void WireWorker::ExpectEnd(WireClient& client) {
  if (client.DrainToEnd(kEndLimitMs)) return Count(StressOutcome::kRight);
  // How long a foreign server waits is not ours to check.
  if (round_.targets.foreign) return Count(StressOutcome::kCut);
  Broken("the server did not end the connection");
}

bool WireWorker::Establish(WireClient& client, const Manner& manner) {
  if (!Connect(client)) return false;
  // Only TLS 1.3 has key updates (RFC 8446 4.6.3).
  const CredHandle& credential =
      manner.update_keys ? round_.pairs[kOnly13].client.handle() : Credential();
  const WireBytes hello = client.Hello(credential);
  if (hello.empty()) {
    Broken(fmt::format("no ClientHello: {}", transport::StatusName(client.status())));
    return false;
  }
  const bool sent =
      manner.write_gap_us != 0 ? client.Trickle(hello, manner.write_gap_us) : client.SendRaw(hello);
  if (sent && client.FinishHandshake()) return true;
  Unanswered(client.ended() || !sent ? "the server ended in the handshake"
                                     : fmt::format("the handshake ended with {}",
                                                   transport::StatusName(client.status())));
  return false;
}

bool WireWorker::SendRequest(WireClient& client, const Manner& manner) {
  if (manner.update_keys && !client.SendRaw(client.KeyUpdate())) {
    Unanswered("a key update was not taken");
    return false;
  }
  const std::string request = Request(manner.body_bytes);
  const WireBytes record = client.Seal(BytesOf(request));
  if (record.empty()) {
    Broken("a request cannot be sealed");
    return false;
  }
  bool sent = manner.write_gap_us != 0 ? client.Trickle(record, manner.write_gap_us)
                                       : client.SendRaw(record);
  if (sent && manner.half_close) {
    sent = client.SendRaw(client.CloseNotify());
    client.ShutdownSend();
  }
  if (!sent) Unanswered("a request was not taken");
  return sent;
}

WireWorker::Verdict WireWorker::ReadAnswer(WireClient& client, const Manner& manner) {
  HttpResponseReader reader(&serve::CheckHttpBody);
  for (;;) {
    WireBytes plaintext = client.Receive(manner.read_bytes);
    if (plaintext.empty()) {
      const bool orderly = client.ended() || client.status() == SEC_I_CONTEXT_EXPIRED;
      return orderly ? Verdict::kUnanswered : Verdict::kWrong;
    }
    switch (reader.Read(std::as_bytes(std::span(plaintext)))) {
      case HttpResponseReader::Outcome::kNeedMore:
        break;
      case HttpResponseReader::Outcome::kComplete:
        return reader.status() == 200 && reader.body_bytes() == manner.body_bytes ? Verdict::kRight
                                                                                  : Verdict::kWrong;
      case HttpResponseReader::Outcome::kMalformed:
        return Verdict::kWrong;
    }
    if (manner.read_gap_us == 0) continue;
    if (ending()) return Verdict::kOurEnd;
    std::this_thread::sleep_for(std::chrono::microseconds(manner.read_gap_us));
  }
}

void WireWorker::Exchange(WireClient& client, const Manner& manner) {
  if (!Establish(client, manner) || !SendRequest(client, manner)) return;
  switch (ReadAnswer(client, manner)) {
    case Verdict::kRight:
      Count(StressOutcome::kRight);
      return Leave(client);
    case Verdict::kUnanswered:
      return Unanswered("the server closed before its response was complete");
    case Verdict::kWrong:
      return Broken(fmt::format("a wrong response ({})", transport::StatusName(client.status())));
    case Verdict::kOurEnd:
      return Count(StressOutcome::kCut);
  }
}

// In order, or just so.
void WireWorker::Leave(WireClient& client) {
  if (random_.Chance(500)) return;
  static_cast<void>(client.SendRaw(client.CloseNotify()));
}

WireBytes WireWorker::Garbage(std::size_t bytes) {
  WireBytes garbage(bytes);
  for (unsigned char& each : garbage) each = static_cast<unsigned char>(random_.Next());
  return garbage;
}

void WireWorker::Canary() {
  const std::uint64_t begun = MonotonicClock::Now();
  WireClient client(peer_);
  Exchange(client, {});
  round_.tally.AddCanary(MonotonicClock::Now() - begun);
}

void WireWorker::KeyUpdate() {
  WireClient client(peer_);
  Exchange(client, {.body_bytes = 30000, .update_keys = true});
}

// The shifting server ends silent connections; with any other we end them ourselves.
void WireWorker::Silent() {
  WireClient client(peer_);
  if (!Connect(client)) return;
  if (random_.Chance(500) && !Establish(client)) return;
  if (!steady_) return ExpectEnd(client);
  static_cast<void>(client.DrainToEnd(100));
  Count(StressOutcome::kRight);
}

void WireWorker::SendAndExpectEnd(const WireBytes& bytes) {
  WireClient client(peer_);
  if (!Connect(client)) return;
  static_cast<void>(client.SendRaw(bytes));  // the server may close before the end
  client.ShutdownSend();
  ExpectEnd(client);
}

void WireWorker::TruncatedHello() {
  WireClient client(peer_);
  if (!Connect(client)) return;
  WireBytes hello = client.Hello(Credential());
  if (hello.empty()) return Broken("no ClientHello");
  hello.resize(random_.Below(hello.size()));
  static_cast<void>(client.SendRaw(hello));
  client.ShutdownSend();
  ExpectEnd(client);
}

// A header that promises more than RFC 8446 5.1 allows, in the handshake or after it.
void WireWorker::OversizedRecord() {
  WireClient client(peer_);
  if (!Connect(client)) return;
  const bool established = random_.Chance(500);
  if (established && !Establish(client)) return;
  WireBytes record = {static_cast<unsigned char>(established ? 23 : 22), 3, 3, 0xff, 0xff};
  const WireBytes body = Garbage(random_.Below(20000));
  record.insert(record.end(), body.begin(), body.end());
  static_cast<void>(client.SendRaw(record));
  ExpectEnd(client);
}

// Empty handshake records, or warnings, without end.
void WireWorker::Flood() {
  if (random_.Chance(400)) return FloodEstablished();
  const WireBytes empty = {22, 3, 3, 0, 0};
  const WireBytes warning = {21, 3, 3, 0, 2, 1, 90};
  const WireBytes& one = random_.Chance(500) ? empty : warning;
  WireBytes flood;
  for (std::uint64_t i = random_.Between(1, 3000); i > 0; --i) {
    flood.insert(flood.end(), one.begin(), one.end());
  }
  SendAndExpectEnd(flood);
}

void WireWorker::FloodEstablished() {
  WireClient client(peer_);
  if (!Establish(client)) return;
  WireBytes flood;
  for (std::uint64_t i = random_.Between(1, 300); i > 0; --i) {
    const WireBytes record = client.Seal({});
    flood.insert(flood.end(), record.begin(), record.end());
  }
  static_cast<void>(client.SendRaw(flood));
  client.ShutdownSend();
  ExpectEnd(client);
}

void WireWorker::Corrupted() {
  WireClient client(peer_);
  if (!Connect(client)) return;
  WireBytes bytes;
  if (random_.Chance(500)) {
    bytes = client.Hello(Credential());
  } else {
    if (!Establish(client)) return;
    bytes = client.Seal(BytesOf(Request(1000)));
  }
  if (bytes.empty()) return Broken("nothing to corrupt");
  bytes[random_.Below(bytes.size())] ^= static_cast<unsigned char>(random_.Between(1, 255));
  static_cast<void>(client.SendRaw(bytes));
  client.ShutdownSend();
  ExpectEnd(client);
}

// Ends at any stage, with FIN or RST.
void WireWorker::AbortSomewhere() {
  WireClient client(peer_);
  if (!Connect(client)) return;
  const std::uint64_t stage = random_.Below(6);
  if (stage >= 4) {
    if (!Establish(client)) return;
    if (stage == 5) {
      const std::uint64_t body_bytes = random_.Between(1, 1 << 20);
      if (!SendRequest(client, {.body_bytes = body_bytes})) return;
      std::uint64_t received = 0;
      // After a whole response nothing comes, and the server would keep the connection for a long
      // time.
      for (std::uint64_t i = random_.Below(3); i > 0 && !client.ended() && received < body_bytes;
           --i) {
        received += client.Receive().size();
      }
    }
  } else if (stage >= 1) {
    const WireBytes hello = client.Hello(Credential());
    if (hello.empty()) return Broken("no ClientHello");
    const std::size_t bytes = stage == 1 ? random_.Below(hello.size()) : hello.size();
    static_cast<void>(client.SendRaw({hello.data(), bytes}));
    if (stage == 3) static_cast<void>(client.ReceiveSome(1000));
  }
  if (activity_ == A::kReset) client.Reset();
  Count(StressOutcome::kRight);
}

void WireWorker::HalfClose() {
  WireClient client(peer_);
  Exchange(client, {.body_bytes = random_.Between(0, 200000), .half_close = true});
}

void WireWorker::SlowReader() {
  WireClient client(peer_, 4096);
  Exchange(client, {.body_bytes = random_.Between(0, 300000),
                    .read_bytes = random_.Between(500, 8000),
                    .read_gap_us = 1000});
}

void WireWorker::SlowWriter() {
  WireClient client(peer_);
  Exchange(client, {.write_gap_us = static_cast<unsigned>(random_.Between(50, 1000))});
}

void WireWorker::PlainHttp() {
  const std::string request = Request(10);
  SendAndExpectEnd({request.begin(), request.end()});
}

// A canary goes to the server that must respond, a silent one to the one that must end it.
void WireWorker::RunOne() {
  const Habit& habit = *habits_[next_];
  next_ = random_.Below(habits_.size());
  activity_ = habit.activity;
  steady_ = random_.Chance(500);
  if (activity_ == A::kCanary) steady_ = true;
  if (activity_ == A::kSilent) steady_ = false;
  if (!round_.targets.has_shifting) steady_ = true;
  peer_ = steady_ ? round_.targets.steady : round_.targets.shifting();
  (this->*habit.act)();
}

}  // namespace

void RunWireWorker(StressRound& round, std::uint64_t seed, unsigned first) {
  WireWorker worker(round, seed, first);
  while (!round.ending.load(std::memory_order_relaxed)) worker.RunOne();
}

}  // namespace ktlsim::command
