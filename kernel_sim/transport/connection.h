// Connection: one TLS connection as its user sees it, plaintext in and plaintext out.
//
// What a newcomer gets wrong: Send only hands over what fits. When SendSpace is empty or Send took
// less than all, stop and go on in OnWritable; that is the back-pressure.
//
// Everything here happens on the thread of the connection's loop, at dispatch level: nothing may
// block. A Connection belongs to its path; the pointer is good until OnEnded returns.
#pragma once

#include <sspi.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "io/address.h"
#include "io/loop.h"
#include "kernel_sim/transport/end_reason.h"

namespace ktlsim::transport {

class Connection;

// Called from the loop, never from inside a call of the connection. Each of these may call every
// function of Connection, except OnEnded.
class ConnectionHandler {
 public:
  // Only for a connection that was dialled: the peer's system has accepted it, and the handshake
  // begins when this returns, unless the handler has closed or aborted the connection.
  virtual void OnSocketConnected(Connection& /*connection*/) {}
  // The handshake is complete; plaintext may flow both ways.
  virtual void OnEstablished(Connection& /*connection*/) {}
  // A message came that belongs to TLS itself: a ticket (the session can be resumed now) or a key
  // update.
  virtual void OnPostHandshake(Connection& /*connection*/) {}
  // At least one byte, in order; valid, and writable, during the call only. May come once more
  // after PauseReading when called from elsewhere.
  virtual void OnPlaintext(Connection& connection, std::span<std::byte> plaintext) = 0;
  // There is room again after SendSpace was empty or Send took less than all.
  virtual void OnWritable(Connection& /*connection*/) {}
  // No more plaintext will come. `truncated`: FIN without close_notify, so the end of the data is
  // not authentic. Sending is still possible: the default closes.
  virtual void OnPeerClosed(Connection& connection, bool truncated);
  // The path is stopping: finish what is under way and close; after the drain limit the connection
  // is aborted. Established connections only, others end at once. The default closes.
  virtual void OnDrain(Connection& connection);
  // Exactly once for every connection that got this handler, and last, also when the handshake
  // never succeeded. The handler may delete itself.
  virtual void OnEnded(Connection& connection, const EndReason& reason) = 0;

 protected:
  ~ConnectionHandler() = default;
};

// What was negotiated.
struct ConnectionInfo {
  std::uint16_t version = 0;       // as on the wire: 0x0303, 0x0304
  std::uint16_t cipher_suite = 0;  // IANA number
  std::string cipher_suite_name;
  std::uint16_t group = 0;  // NamedGroup of RFC 8446 4.2.7; 0: none, a resumed TLS 1.2 session
  std::string alpn;         // empty: none
  bool resumed = false;

  const char* version_text() const;  // "TLS 1.3"
  const char* group_text() const;    // "X25519"; empty: none
};

class Connection {
 public:
  // ---- Sending. Established, and not after Close or ShutdownSend: otherwise there is no room.

  // Where plaintext may be written that will be sealed in place, without a copy; at most one
  // record's worth. Empty: no room now, OnWritable will follow. The span dies with the next call of
  // a sending function or with the return to the loop.
  virtual std::span<std::byte> SendSpace() = 0;
  // Takes the first `bytes` of the last SendSpace. What is committed in one turn of the loop is
  // sealed into as few records as possible.
  virtual void CommitSend(std::size_t bytes) = 0;
  // Copies what fits and returns how much that was. Less than all: OnWritable will follow.
  std::size_t Send(std::span<const std::byte> plaintext);
  // Nothing handed over is still on its way to the socket.
  virtual bool send_idle() const = 0;

  // ---- Receiving

  // Back-pressure towards the peer. OnPlaintext pauses at the next record.
  virtual void PauseReading() = 0;
  virtual void ResumeReading() = 0;

  // ---- Ending. All idempotent; OnEnded follows from a later turn.

  // close_notify after what was sent, then FIN; plaintext still comes in. The connection ends when
  // the peer closes too.
  virtual void ShutdownSend() = 0;
  // The same, but plaintext that still comes in is dropped; waits for the peer's close for
  // Limits::close_ns. In the handshake, where an orderly close is impossible, FIN is sent at once.
  virtual void Close() = 0;
  // Close, because of what the peer did: OnEnded, the log and the statistics get `why`, however the
  // connection then ends.
  virtual void CloseFor(EndKind why) = 0;
  // CloseFor, but without close_notify: the peer gets all that was sent, then FIN, and knows that
  // this is not the whole (RFC 8446 6.1). In the handshake the same as AbortFor, after ShutdownSend
  // the same as CloseFor.
  virtual void CutFor(EndKind why) = 0;
  // RST; everything in flight is dropped.
  void Abort() { AbortFor(EndKind::kAborted); }
  // Abort; OnEnded, the log and the statistics get `why`.
  virtual void AbortFor(EndKind why) = 0;

  // ---- Questions

  virtual bool established() const = 0;
  // The address of the peer; also after the end. Family 0: the peer was gone before its address
  // could be read. A client on a Unix-domain socket has no name, unless it has bound its socket.
  virtual const io::Address& peer_address() const = 0;
  // Our end, while the socket is open.
  virtual Result<io::Address> LocalAddress() = 0;
  // Asks the library. Established connections only: otherwise all empty. Allocates.
  virtual ConnectionInfo Info() = 0;
  // For QueryContextAttributes; invalid before the first leg has stored one and after the end.
  virtual CtxtHandle security_context() const = 0;
  virtual io::Loop& loop() const = 0;

  // For the handler's own use.
  void* user = nullptr;

 protected:
  Connection() = default;
  ~Connection() = default;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
};

}  // namespace ktlsim::transport
