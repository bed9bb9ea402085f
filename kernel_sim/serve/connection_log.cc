#include "kernel_sim/serve/connection_log.h"

#include <new>

#include <fmt/format.h>

namespace ktlsim::serve {
namespace {

using transport::EndKind;
using transport::EndReason;

// Ends that are logged at the debug level only: port checks, and ends of our own making.
bool IsEveryday(const EndReason& reason) {
  switch (reason.kind) {
    case EndKind::kCompleted:
    case EndKind::kClosedBeforeHandshake:
    case EndKind::kAborted:
    case EndKind::kNoBackend:  // logged by OnNoBackend
    case EndKind::kBackendFailed:
    case EndKind::kStopped:
    case EndKind::kConnectFailed:
      return true;
    case EndKind::kTruncatedByPeer:
    case EndKind::kResetByPeer:
    case EndKind::kIdleTimeout:
      return reason.established;
    case EndKind::kClosedInHandshake:
    case EndKind::kNotTls:
    case EndKind::kHandshakeFailed:
    case EndKind::kNoCredential:
    case EndKind::kCredentialTimeout:
    case EndKind::kRecordFailed:
    case EndKind::kTooManyBytes:
    case EndKind::kTooManyLegs:
    case EndKind::kLegTimeout:
    case EndKind::kHandshakeTimeout:
    case EndKind::kRecordTimeout:
    case EndKind::kHeadTimeout:
    case EndKind::kRequestTimeout:
    case EndKind::kBodyTooSlow:
    case EndKind::kRefusedForOverload:
    case EndKind::kNoMemory:
      return false;
  }
  return false;
}

std::string AlertField(int alert) { return alert < 0 ? "none" : transport::AlertText(alert); }

}  // namespace

bool LineRate::Admit(std::uint64_t now_ns, std::uint64_t* left_out) {
  SpinLockHolder lock(lock_);
  const std::uint64_t second = now_ns / kNsPerSecond;
  if (second != second_) {
    second_ = second;
    lines_ = 0;
  }
  if (lines_ >= lines_max_) {
    ++left_out_;
    left_out_in_all_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  ++lines_;
  *left_out = left_out_;
  left_out_ = 0;
  return true;
}

bool ConnectionLog::Admit(LogLevel level) {
  if (!log_.Wants(level)) return false;
  std::uint64_t left_out = 0;
  if (!rate_.Admit(MonotonicClock::Now(), &left_out)) return false;
  if (left_out != 0) {
    log_.Write(level, "lines left out", {{"count", std::to_string(left_out)}});
  }
  return true;
}

// Called from loops: nothing may be thrown. A line without memory is counted as lost.
template <typename MakeAndWrite>
void ConnectionLog::Tell(LogLevel level, MakeAndWrite write) {
  if (!Admit(level)) return;
  try {
    write();
  } catch (const std::bad_alloc&) {
    log_.NoteLost();
  }
}

void ConnectionLog::OnConnectionEnded(const transport::Connection& connection,
                                      const transport::EndReason& reason) {
  const LogLevel level = IsEveryday(reason) ? LogLevel::kDebug : LogLevel::kWarning;
  Tell(level, [&] {
    const std::string peer = connection.peer_address().ToString();
    const std::string why = reason.ToString();
    const std::string sent = AlertField(reason.sent_alert);
    const std::string received = AlertField(reason.received_alert);
    if (reason.established) {
      log_.Write(
          level, reason.orderly() ? "connection ended" : "connection failed",
          {{"peer", peer}, {"reason", why}, {"alert-sent", sent}, {"alert-received", received}});
    } else {
      log_.Write(level, "handshake failed",
                 {{"peer", peer},
                  {"leg", std::to_string(reason.leg)},
                  {"reason", why},
                  {"alert-sent", sent},
                  {"alert-received", received}});
    }
  });
}

void ConnectionLog::OnAcceptFailed(const Status& reason) {
  Tell(LogLevel::kError, [&] {
    log_.Write(LogLevel::kError, "no connection can be accepted, trying again",
               {{"reason", reason.ToString()}});
  });
}

void ConnectionLog::OnBackendOut(const io::Address& backend, Status failure) {
  Tell(LogLevel::kWarning, [&] {
    log_.Write(LogLevel::kWarning, "backend out",
               {{"backend", backend.ToString()}, {"reason", failure.ToString()}});
  });
}

void ConnectionLog::OnBackendBack(const io::Address& backend) {
  Tell(LogLevel::kInfo,
       [&] { log_.Write(LogLevel::kInfo, "backend back", {{"backend", backend.ToString()}}); });
}

void ConnectionLog::OnNoBackend(const io::Address& client) {
  Tell(LogLevel::kWarning,
       [&] { log_.Write(LogLevel::kWarning, "no backend", {{"peer", client.ToString()}}); });
}

void ConnectionLog::OnFileFailed(std::string_view path, Status failure) {
  Tell(LogLevel::kError, [&] {
    log_.Write(LogLevel::kError, "file failed", {{"path", path}, {"reason", failure.ToString()}});
  });
}

void ConnectionLog::OnCertificateFailed(std::string_view file, std::string_view why) {
  Tell(LogLevel::kError, [&] {
    log_.Write(LogLevel::kError, "certificate failed", {{"file", file}, {"reason", why}});
  });
}

void ConnectionLog::OnCertificateAcquired(std::string_view file) {
  Tell(LogLevel::kDebug,
       [&] { log_.Write(LogLevel::kDebug, "certificate acquired", {{"file", file}}); });
}

void ConnectionLog::OnDigest(DigestOutcome outcome, const transport::Connection& connection,
                             std::string_view target, SECURITY_STATUS status) {
  const LogLevel level = outcome == DigestOutcome::kMalformed     ? LogLevel::kInfo
                         : outcome == DigestOutcome::kUnavailable ? LogLevel::kError
                                                                  : LogLevel::kWarning;
  Tell(level, [&] {
    log_.Write(level, "not authenticated",
               {{"peer", connection.peer_address().ToString()},
                {"outcome", DigestOutcomeName(outcome)},
                {"path", target},
                {"reason", transport::StatusName(status)}});
  });
}

}  // namespace ktlsim::serve
