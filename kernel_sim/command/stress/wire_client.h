// WireClient: a blocking socket with the synchronous functions of SSPI on top, as slow, as rude or
// as honest as its user. One thread; passive level.
#pragma once

#include <sspi.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "io/address.h"

namespace ktlsim::command {

using WireBytes = std::vector<unsigned char>;

class WireClient {
 public:
  enum class Read : std::uint8_t { kSome, kEnd, kTimeout };

  // Not connected afterwards: refused, or no descriptor. `receive_bytes`: of the socket's buffer;
  // 0: the system's choice.
  WireClient(const io::Address& peer, int receive_bytes = 0);
  ~WireClient();
  WireClient(const WireClient&) = delete;
  WireClient& operator=(const WireClient&) = delete;

  bool connected() const { return descriptor_ >= 0; }

  // ---- The socket. False: the peer does not take any more, within some seconds.
  bool SendRaw(std::span<const unsigned char> bytes);
  // Byte by byte, so far apart.
  bool Trickle(std::span<const unsigned char> bytes, std::uint64_t gap_us);
  // At most `bytes_max` more into the inbox.
  Read ReceiveSome(int timeout_ms, std::size_t bytes_max = 64 * 1024);
  // Drops everything until the peer closes or resets. False: it did neither in the time.
  bool DrainToEnd(int timeout_ms);
  void ShutdownSend();
  void Reset();  // RST instead of FIN

  // ---- TLS
  // The record with the ClientHello. Empty: no context could be made.
  WireBytes Hello(const CredHandle& credential);
  // After Hello and its sending. False: `status` says why, or the peer ended the connection.
  bool FinishHandshake();
  // One record; empty on failure.
  WireBytes Seal(std::span<const unsigned char> plaintext);
  // close_notify, as a record.
  WireBytes CloseNotify();
  // A KeyUpdate that requests the peer's, as a record. TLS 1.3 only.
  WireBytes KeyUpdate();
  // The next plaintext; empty: `status` or `ended` say why.
  WireBytes Receive(std::size_t bytes_at_a_time = 64 * 1024);

  SECURITY_STATUS status() const { return status_; }
  bool ended() const { return ended_; }  // the peer closed, or was silent too long

 private:
  WireBytes Leg(bool first);
  WireBytes Control(void* token, ULONG bytes);
  WireBytes Open();

  int descriptor_ = -1;
  CredHandle credential_{};
  CtxtHandle context_;
  WireBytes inbox_;
  SECURITY_STATUS status_ = SEC_E_OK;
  bool ended_ = false;
};

}  // namespace ktlsim::command
