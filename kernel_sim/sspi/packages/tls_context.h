// One TLS connection, as the package interface sees it.
//
// Until it is established, legs drive a tls::Handshake. Then OpenSSL is gone and reader and writer
// protect records; legs carry what comes after the handshake: tickets, key updates, alerts.
#pragma once

#include <sspi.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "kernel_sim/sspi/packages/leg_buffers.h"
#include "kernel_sim/sspi/packages/package.h"
#include "tls/handshake/established.h"
#include "tls/handshake/handshake.h"

namespace ktlsim::sspi {

class TlsCredential;

class TlsContext final : public PackageContext {
 public:
  static std::unique_ptr<TlsContext> Create(PackageHost& host, Direction direction);
  ~TlsContext() override;

  LegResult Leg(const LegArguments& arguments) override;
  SECURITY_STATUS Encrypt(ULONG qop, SecBufferDesc& message, ULONG sequence) override;
  SECURITY_STATUS Decrypt(SecBufferDesc& message, ULONG sequence, ULONG* qop) override;
  SECURITY_STATUS Query(ULONG attribute, void* buffer) override;
  const char* WhyFailed() const override;
  SECURITY_STATUS ApplyControlToken(SecBufferDesc& input) override;

 private:
  // The result of one leg, before its token has reached the caller. It waits here when the caller's
  // buffer is too small: the same input must not be processed twice.
  struct Step {
    SECURITY_STATUS status = SEC_E_INTERNAL_ERROR;
    std::size_t consumed = 0;
    std::optional<tls::Alert> alert;  // sent, for the ALERT buffer
    bool establishes = false;
    const char* reason = nullptr;  // of a failure, a literal
    bool ignores_input = false;    // its token does not depend on the input
  };
  struct WaitingStep {
    Step step;
    RepeatedInput input;
  };
  // SEC_I_INCOMPLETE_CREDENTIALS was returned: how much of the input OpenSSL has consumed, which
  // the caller passes once more, and the credential that had nothing to send.
  struct StoppedLeg {
    std::size_t consumed = 0;
    RepeatedInput input;
    const PackageCredential* credential = nullptr;
  };
  // What ApplyControlToken has asked for: an alert, or a KeyUpdate.
  struct Control {
    std::optional<tls::Alert> alert;
    bool request_peer = false;
  };
  // A handshake message that DecryptMessage found and the next leg must take.
  struct OwedMessage {
    std::size_t record_bytes = 0;
    std::size_t header_bytes = 0;
    std::size_t fragment_bytes = 0;
  };
  struct Established {
    explicit Established(tls::Established&& connection) : tls(std::move(connection)) {}
    tls::Established tls;
    OwedMessage owed;
    std::uint64_t bytes_opened = 0;
  };

  TlsContext(PackageHost& host, Direction direction)
      : host_(host), counters_(host.counters()), direction_(direction) {}

  // Legs. (tls_context.cc)
  bool Requests(const LegBuffers& buffers, ULONG isc_flag, ULONG asc_flag) const;
  LegResult HandshakeLeg(const LegArguments& arguments, const LegBuffers& buffers);
  SECURITY_STATUS Begin(const LegArguments& arguments, const LegBuffers& buffers);
  Step RunHandshake(const LegBuffers& buffers, std::span<std::byte> input);
  LegResult StopForCredential(const LegBuffers& buffers, std::size_t consumed);
  LegResult GoOnWithCredential(const LegArguments& arguments, const LegBuffers& buffers);
  SECURITY_STATUS ApplySession(std::span<const std::byte> token);
  Step RunPostHandshake(std::span<std::byte> input);
  Step TakeOwedMessage(std::span<std::byte> input);
  Step HandOutControl();
  LegResult Deliver(const LegBuffers& buffers, const Step& step);
  LegResult FailAgain(const LegBuffers& buffers);
  SECURITY_STATUS HandOutToken(const LegBuffers& buffers, ULONG* attributes);
  LegResult WaitForRoom(const LegBuffers& buffers, const Step& step, SECURITY_STATUS status);
  void PlaceFailure(const LegBuffers& buffers, const Step& step);
  // For the attribute, and for legs after this one.
  void KeepFailure(const char* why, std::optional<tls::Alert> received,
                   std::optional<tls::Alert> sent);
  SECURITY_STATUS TakeOver();
  ULONG ResultAttributes(const LegBuffers& buffers) const;
  SECURITY_STATUS QueueAlert(tls::Alert alert);
  SECURITY_STATUS QueueKeyUpdate(bool request_peer);
  // The peer has sent something for a leg; `reply`: that leg's record goes before later data.
  void OweLeg(bool reply);
  void LegDone();
  bool KeyUpdateDue() const;
  SECURITY_STATUS ApplyKeyUpdate(std::span<const std::byte> token);

  // Records. (tls_records.cc)
  // `record`: header, data, trailer.
  SECURITY_STATUS EncryptOne(tls::ContentType type, SecBuffer* record);
  SECURITY_STATUS EncryptAlert(SecBuffer* record);
  SECURITY_STATUS CheckSeveral(std::span<SecBuffer> buffers) const;
  SECURITY_STATUS OpenFirst(std::span<SecBuffer> buffers, SecBuffer& data, ULONG* qop,
                            std::span<std::byte>* rest);
  SECURITY_STATUS OpenNext(std::span<SecBuffer> buffers, ULONG* qop, std::span<std::byte>* rest);
  SECURITY_STATUS ReceiveAlert(std::span<SecBuffer> buffers, std::span<std::byte> wire,
                               const tls::OpenResult& record);
  SECURITY_STATUS FailRecord(tls::Alert alert, const char* why);
  SECURITY_STATUS Present(std::span<SecBuffer> buffers, std::span<std::byte> wire,
                          const tls::OpenResult& record, ULONG* qop);
  SECURITY_STATUS PresentHandshake(std::span<SecBuffer> buffers, std::span<std::byte> wire,
                                   const tls::OpenResult& record);

  PackageHost& host_;
  PackageCounters& counters_;
  const Direction direction_;

  // Under the strand.
  std::unique_ptr<tls::Handshake> handshake_;
  std::vector<std::byte> output_;  // made after the handshake, not yet handed out
  std::optional<WaitingStep> waiting_;
  const PackageCredential* own_credential_ = nullptr;  // only compared; a client's
  std::unique_ptr<StoppedLeg> stopped_;
  // A leg failed: every later one does, too. The alert waits where its token waits for room.
  SECURITY_STATUS failed_with_ = SEC_E_OK;
  std::optional<tls::Alert> failed_alert_;

  // Once established: `tls.writer` under the seal claim, the rest under the open claim, all of it
  // under the strand with both.
  std::unique_ptr<Established> established_;
  std::optional<tls::Alert> kept_alert_;  // the next leg without input hands it out
  std::vector<Control> control_;          // from ApplyControlToken
  // Nothing may be opened until a leg has been called.
  std::atomic<bool> leg_owed_{false};
  // Nor sealed: the leg may return a record that goes before all later data (RFC 8446 4.6.3).
  std::atomic<bool> reply_owed_{false};
  // A token that did not fit waits, sealed: what is sealed later must be sent later.
  std::atomic<bool> token_waits_{false};
  std::atomic<bool> sealing_ended_{false};
  bool opening_ended_ = false;  // under the open claim
  // For KTLSIM_ATTR_CONTEXT_FAILURE, which any thread may query.
  std::atomic<const char*> why_{nullptr};  // a literal; last of the three to be written
  std::atomic<std::int16_t> received_alert_{-1};
  std::atomic<std::int16_t> sent_alert_{-1};
};

}  // namespace ktlsim::sspi
