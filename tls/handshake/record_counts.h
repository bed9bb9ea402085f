// RecordCounts: how many records a handshake has read and written. Our record layer continues with
// these sequence numbers. OpenSSL does not show its own, but all its records pass through our
// buffers, so they can be counted. Private to this module.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tls/types.h"

namespace ktlsim::tls {

class RecordCounts {
 public:
  // A record of `type` is about to be read.
  void NoteRead(ContentType type) { read_.Note(type); }
  // `written`: the whole records that one call of OpenSSL has written.
  void NoteWritten(std::span<const std::byte> written);

  // A change_cipher_spec came: in TLS 1.2 what follows it is protected.
  bool change_cipher_spec_read() const { return read_.change_seen; }
  // Records in the newest NoteWritten.
  std::uint64_t in_last_call() const { return in_last_call_; }
  // TLS 1.2: how many records each direction has carried under its keys, Finished among them: one
  // as a rule, but a message may be cut into records anywhere (RFC 5246 6.2.1).
  std::uint64_t read_since_change() const { return read_.since_change; }
  std::uint64_t written_since_change() const { return written_.since_change; }
  // TLS 1.2: the explicit nonce of the newest record written (RFC 5288 3).
  std::uint64_t last_explicit_nonce() const { return last_explicit_nonce_; }

 private:
  struct Direction {
    bool change_seen = false;
    std::uint64_t since_change = 0;

    void Note(ContentType type) {
      const bool change = type == ContentType::kChangeCipherSpec;
      change_seen = change_seen || change;
      since_change = change ? 0 : since_change + 1;
    }
  };

  Direction read_;
  Direction written_;
  std::uint64_t in_last_call_ = 0;
  std::uint64_t last_explicit_nonce_ = 0;
};

}  // namespace ktlsim::tls
