// The wait of a server's connection for its credential, where its path has a source of them.

#include "kernel_sim/transport/tls_connection.h"

namespace ktlsim::transport {
namespace {

// RFC 8446 6.
constexpr std::uint8_t kDecodeError = 50;
constexpr std::uint8_t kInternalError = 80;
constexpr std::uint8_t kUnrecognizedName = 112;

}  // namespace

bool TlsConnection::HasCredential() {
  if (credentials_.state() == CredentialState::kNamed) {
    credentials_.Ask();
    if (credentials_.waits() && limits_.BeginCredential(loop().NowNs())) SetLimitTimer();
    if (credentials_.credential() != nullptr) legs_.UseCredential(credentials_.credential());
  }
  switch (credentials_.state()) {
    case CredentialState::kReady:
      return true;
    case CredentialState::kReading:
      AwaitPeer();
      return false;
    case CredentialState::kRefused:
      RefuseCredential();
      return false;
    case CredentialState::kNamed:
    case CredentialState::kWaiting:
    case CredentialState::kGivenUp:
      break;
  }
  UpdateReceiving();
  return false;
}

// The source has told, on whatever thread; this is the loop's.
void TlsConnection::OnCredential(void* self) {
  static_cast<TlsConnection*>(self)->GoOnWithCredential();
}

void TlsConnection::GoOnWithCredential() {
  credentials_.Told();
  if (state_ == State::kDead) {
    FinishIfIdle();
    return;
  }
  if (state_ != State::kHandshake) return;  // it took too long
  if (credentials_.credential() != nullptr) legs_.UseCredential(credentials_.credential());
  ArmLegLimit();
  Pump();
}

void TlsConnection::OnCredentialTimeout() {
  credentials_.GiveUp();
  FailWithAlert(EndKind::kCredentialTimeout, kInternalError);
}

void TlsConnection::RefuseCredential() {
  const SECURITY_STATUS status = credentials_.status();
  if (credentials_.not_tls()) {
    Fail(EndKind::kNotTls, status);
  } else if (status == SEC_E_INVALID_TOKEN) {
    FailWithAlert(EndKind::kHandshakeFailed, kDecodeError, status);
  } else {
    const bool named = status == SEC_E_TARGET_UNKNOWN || status == SEC_E_NO_CREDENTIALS;
    FailWithAlert(EndKind::kNoCredential, named ? kUnrecognizedName : kInternalError, status);
  }
}

}  // namespace ktlsim::transport
