// PostHandshake: handshake messages that arrive after the handshake.
//
// TLS 1.3: NewSessionTicket (client) and KeyUpdate (RFC 8446 4.6). TLS 1.2: HelloRequest or
// ClientHello, both answered by no_renegotiation. Everything else ends the connection.
// A client that wants tickets keeps its OpenSSL object in here until the first ticket or a limit;
// the ticket is sealed again for it, so that the session comes out of OpenSSL complete.
//
// One thread at a time, together with the reader.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernel_sim/base/status.h"
#include "tls/handshake/client_sessions.h"
#include "tls/record/record_reader.h"
#include "tls/types.h"

namespace ktlsim::tls {

struct PostHandshakeResult {
  enum class Outcome : std::uint8_t {
    kAbsorbed,      // nothing to do
    kAbsorbedPart,  // a message continues in the next record; its first part is kept
    kKeyUpdate,     // the reader uses the next key from now on; see `update_requested`
    kSendAlert,     // send the warning `alert` (no_renegotiation) and go on
    kFailed,        // send the fatal `alert`; the connection is over
  };
  Outcome outcome = Outcome::kFailed;
  // Call RecordWriter::SealKeyUpdate(false) before the next application data.
  bool update_requested = false;
  // A ticket was stored: the next connection can resume.
  bool ticket_stored = false;
  Alert alert;
  Status failure;
};

class SslConnection;

class PostHandshake {
 public:
  // A message longer than this is refused, which bounds what a peer can make us keep.
  static constexpr std::size_t kMessageBytesMax = 20 * 1024;
  static constexpr std::uint64_t kTicketWaitNs = 2'000'000'000;
  static constexpr std::uint64_t kTicketWaitBytes = 64 * 1024;

  // `ssl` nullptr: tickets are ignored.
  PostHandshake(Role role, Version version, std::unique_ptr<SslConnection> ssl,
                ProtectionState ticket_protection);
  ~PostHandshake();
  PostHandshake(const PostHandshake&) = delete;
  PostHandshake& operator=(const PostHandshake&) = delete;

  // `fragment`: what the reader opened with type kHandshake. Changes `reader`'s key on KeyUpdate.
  PostHandshakeResult Consume(std::span<const std::byte> fragment, RecordReader& reader);

  // Client: where the session of this connection is stored, for ForgetSession.
  void KeepSessionPlace(std::shared_ptr<ClientSessions> store, std::string key);
  // Client: the session is not to be resumed; a ticket that still comes is not kept. False: a
  // server, whose tickets are with the client, or nothing can be resumed.
  bool ForgetSession();

  // A message is cut: application data and alerts other than fatal ones must not come between.
  bool mid_message() const { return !partial_.empty(); }

  // True while an OpenSSL object is kept for a ticket.
  bool waiting_for_ticket() const { return ssl_ != nullptr; }
  // Call now and then, with the time and the count of application bytes opened: true once the limit
  // has passed and the OpenSSL object is gone (or there is none). The first call starts the clock.
  bool Expired(std::uint64_t now_ns, std::uint64_t bytes_opened);

 private:
  PostHandshakeResult ConsumeMessages(std::span<const std::byte> bytes, RecordReader& reader);
  PostHandshakeResult OneMessage(std::span<const std::byte> message, bool last,
                                 RecordReader& reader);
  PostHandshakeResult KeyUpdate(std::span<const std::byte> body, bool last, RecordReader& reader);
  PostHandshakeResult NewSessionTicket(std::span<const std::byte> message);
  void DropSsl();

  const Role role_;
  const Version version_;
  std::unique_ptr<SslConnection> ssl_;
  std::unique_ptr<struct TicketSealer> sealer_;
  struct SessionPlace {
    std::shared_ptr<ClientSessions> store;
    std::string key;
  };
  std::unique_ptr<SessionPlace> session_;  // a pointer: most connections are a server's
  std::vector<std::byte> partial_;
  std::uint64_t first_seen_ns_ = 0;
};

}  // namespace ktlsim::tls
