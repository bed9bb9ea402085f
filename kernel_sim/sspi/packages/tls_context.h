// One TLS connection, as the package interface sees it.
//
// Until it is established, legs drive a tls::Handshake. Then OpenSSL is gone and reader and writer
// protect records; legs carry what comes after the handshake: tickets, key updates, alerts.
//
// It is always in one of the phases of tls_phase.h. What a phase needs lies in that phase's struct,
// and each phase has a function for its legs.
#pragma once

#include <sspi.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "kernel_sim/sspi/packages/leg_buffers.h"
#include "kernel_sim/sspi/packages/package.h"
#include "kernel_sim/sspi/packages/tls_phase.h"
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
  SECURITY_STATUS Query(const AttributeQuery& query) override;
  bool IsKnownEarly(ULONG attribute) const override;
  const char* WhyFailed() const override;
  bool Client(security::ClientFacts* facts) const override;
  SECURITY_STATUS ApplyControlToken(SecBufferDesc& input) override;

 private:
  // The result of one leg, before its token has reached the caller. It waits here when the caller's
  // buffer is too small: the same input must not be processed twice.
  struct Step {
    SECURITY_STATUS status = SEC_E_INTERNAL_ERROR;
    std::optional<tls::Alert> alert;  // sent, for the ALERT buffer
    bool establishes = false;
    std::size_t consumed = 0;
    const char* reason = nullptr;  // of a failure, a literal
    bool ignores_input = false;    // its token does not depend on the input
    bool waits = false;            // for a session; the leg is not over
  };
  struct WaitingStep {
    Step step;
    RepeatedInput input;
  };
  // What ApplyControlToken has asked for: an alert, or a KeyUpdate.
  struct Control {
    std::optional<tls::Alert> alert;
    bool request_peer = false;
  };
  // A handshake message that DecryptMessage found and the next leg must take.
  struct OwedMessage {
    std::uint32_t record_bytes = 0;
    std::uint32_t header_bytes = 0;
    std::uint32_t fragment_bytes = 0;
  };
  // What the handshake has left: `tls.writer` under the seal claim, the rest under the open claim.
  // Its address does not change while its context moves from one phase to the next.
  struct Connection {
    Connection(tls::Established&& established, bool maps)
        : tls(std::move(established)), maps_client(maps) {}
    tls::Established tls;
    const bool maps_client;
    std::uint64_t bytes_opened = 0;
    OwedMessage owed;
    std::optional<tls::Alert> kept_alert;  // the next leg without input hands it out
    bool leg_owed = false;                 // nothing may be opened until a leg has been called
    bool opening_ended = false;
  };

  struct NotBegun {
    static constexpr TlsPhase kPhase = TlsPhase::kNotBegun;
  };
  struct Handshaking {
    static constexpr TlsPhase kPhase = TlsPhase::kHandshaking;
    std::unique_ptr<tls::Handshake> handshake;      // never null
    const PackageCredential* credential = nullptr;  // of the first leg, only compared
    std::size_t consumed = 0;                       // of the input of a leg that is suspended
    bool maps_client = false;                       // without SCH_CRED_NO_SYSTEM_MAPPER
  };
  // How much of the input OpenSSL has consumed, which the caller passes once more.
  struct Stopped {
    static constexpr TlsPhase kPhase = TlsPhase::kStopped;
    Handshaking handshaking;  // its credential had nothing to send
    std::size_t consumed;
    RepeatedInput input;
  };
  struct Established {
    static constexpr TlsPhase kPhase = TlsPhase::kEstablished;
    std::unique_ptr<Connection> connection;  // never null
  };
  struct Failure {
    SECURITY_STATUS status;
    std::optional<tls::Alert> alert = {};  // waits where its token waits for room
  };
  struct HandshakeFailed {
    static constexpr TlsPhase kPhase = TlsPhase::kHandshakeFailed;
    Failure failure;
    std::unique_ptr<tls::Handshake> handshake;  // has the alert; null: memory was short at the end
  };
  struct ConnectionFailed {
    static constexpr TlsPhase kPhase = TlsPhase::kConnectionFailed;
    Failure failure;
    std::unique_ptr<Connection> connection;  // never null
  };
  // In the order of TlsPhase. None throws when it is moved, so there is always one of them.
  using Phase =
      std::variant<NotBegun, Handshaking, Stopped, Established, HandshakeFailed, ConnectionFailed>;

  TlsContext(PackageHost& host, Direction direction)
      : counters_(host.counters()), direction_(direction), host_(host) {}

  // Phases. (tls_context.cc)
  TlsPhase phase() const { return static_cast<TlsPhase>(phase_.index()); }
  // Leaves the phase by `event`, which leads to `Next`. What the last phase had is gone.
  template <typename Next>
  Next& Enter(TlsPhaseEvent event, Next next);
  // Null: not in this phase.
  Connection* connection() const {
    if (const auto* phase = std::get_if<Established>(&phase_)) return phase->connection.get();
    if (const auto* phase = std::get_if<ConnectionFailed>(&phase_)) return phase->connection.get();
    return nullptr;
  }
  tls::Handshake* handshake() const;
  Failure* failure();

  // Legs. (tls_context.cc)
  LegResult LegIn(NotBegun& phase, const LegArguments& arguments, const LegBuffers& buffers);
  LegResult LegIn(Handshaking& phase, const LegArguments& arguments, const LegBuffers& buffers);
  LegResult LegIn(Stopped& phase, const LegArguments& arguments, const LegBuffers& buffers);
  LegResult LegIn(Established& phase, const LegArguments& arguments, const LegBuffers& buffers);
  LegResult LegIn(HandshakeFailed& phase, const LegArguments& arguments, const LegBuffers& buffers);
  LegResult LegIn(ConnectionFailed& phase, const LegArguments& arguments,
                  const LegBuffers& buffers);
  bool Requests(const LegBuffers& buffers, ULONG isc_flag, ULONG asc_flag) const;
  LegResult DeliverAgain(const WaitingStep& waiting, const LegBuffers& buffers);
  bool ControlWaits() const;
  Step HandOutControl();
  SECURITY_STATUS Begin(const LegArguments& arguments, const LegBuffers& buffers);
  // The leg was suspended, since the store looked for a session.
  LegResult GoOnWithLeg(const LegArguments& arguments, const LegBuffers& buffers);
  // These end the phase that they are given, where the handshake fails, stops or is over. `from`:
  // so much of the input is consumed already.
  LegResult TakeToken(Handshaking& phase, const LegArguments& arguments, const LegBuffers& buffers,
                      std::size_t from);
  Step RunHandshake(Handshaking& phase, const LegBuffers& buffers, std::span<std::byte> input);
  LegResult StopForCredential(Handshaking& phase, const LegBuffers& buffers, std::size_t consumed);
  SECURITY_STATUS TakeOver();
  LegResult FailAgain(Failure& failure, const LegBuffers& buffers);
  SECURITY_STATUS ApplySession(std::span<const std::byte> token);
  Step RunPostHandshake(Established& phase, std::span<std::byte> input);
  Step TakeOwedMessage(Established& phase, std::span<std::byte> input);
  void FailConnection(Established& phase, const tls::PostHandshakeResult& result, Step* step);
  LegResult Deliver(const LegBuffers& buffers, const Step& step);
  SECURITY_STATUS HandOutToken(const LegBuffers& buffers, ULONG* attributes);
  LegResult WaitForRoom(const LegBuffers& buffers, const Step& step, SECURITY_STATUS status);
  void PlaceFailure(const LegBuffers& buffers, const Step& step);
  // For the attribute, and for legs after this one.
  void KeepFailure(const char* why, std::optional<tls::Alert> received,
                   std::optional<tls::Alert> sent);
  ULONG ResultAttributes(const LegBuffers& buffers) const;
  SECURITY_STATUS QueueAlert(tls::Alert alert);
  SECURITY_STATUS QueueKeyUpdate(Connection& connection, bool request_peer);
  // The peer has sent something for a leg; `reply`: that leg's record goes before later data.
  void OweLeg(Connection& connection, bool reply);
  void LegDone(Connection& connection);
  SECURITY_STATUS ApplyKeyUpdate(std::span<const std::byte> token);

  // Records. (tls_records.cc)
  // These change the connection and never the phase, which a call under the other claim may read.
  // `record`: header, data, trailer.
  SECURITY_STATUS EncryptOne(Connection& connection, tls::ContentType type, SecBuffer* record);
  SECURITY_STATUS EncryptAlert(Connection& connection, SecBuffer* record);
  SECURITY_STATUS OpenFirst(Connection& connection, std::span<SecBuffer> buffers, SecBuffer& data,
                            ULONG* qop, std::span<std::byte>* rest);
  SECURITY_STATUS OpenNext(Connection& connection, std::span<SecBuffer> buffers, ULONG* qop,
                           std::span<std::byte>* rest);
  SECURITY_STATUS ReceiveAlert(Connection& connection, std::span<SecBuffer> buffers,
                               std::span<std::byte> wire, const tls::OpenResult& record);
  SECURITY_STATUS FailRecord(Connection& connection, tls::Alert alert, const char* why);
  SECURITY_STATUS Present(Connection& connection, std::span<SecBuffer> buffers,
                          std::span<std::byte> wire, const tls::OpenResult& record, ULONG* qop);
  SECURITY_STATUS PresentHandshake(Connection& connection, std::span<SecBuffer> buffers,
                                   std::span<std::byte> wire, const tls::OpenResult& record);

  PackageCounters& counters_;

  // Written by legs and control tokens alone: under the strand and, once established, both claims.
  // A record's call or a query reads them under its one claim, and only once established.
  Phase phase_;
  std::vector<std::byte> output_;  // made after the handshake, not yet handed out
  // A token that did not fit. Once established it is sealed: what is sealed later must be sent
  // later.
  std::optional<WaitingStep> waiting_;
  std::vector<Control> control_;  // from ApplyControlToken, in any phase

  // In no phase's struct, because a leg may replace that while these are read.
  //
  // For KTLSIM_ATTR_CONTEXT_FAILURE, which any thread may query in every phase.
  std::atomic<const char*> why_{nullptr};  // a literal; last of the three to be written
  std::atomic<std::int16_t> received_alert_{-1};
  std::atomic<std::int16_t> sent_alert_{-1};
  // Nothing may be sealed. Read under the seal claim, written under the open claim, too. The first:
  // the leg that is owed may return a record that goes before all later data (RFC 8446 4.6.3). The
  // second already during the handshake, where a caller shuts down early.
  std::atomic<bool> reply_owed_{false};
  std::atomic<bool> sealing_ended_{false};

  const Direction direction_;
  PackageHost& host_;
};

}  // namespace ktlsim::sspi
