// Recutter: stands between an unmodified libssl and our side. It opens what libssl has sealed, cuts
// the handshake into other records and seals them with the same keys, as another TLS library might.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "tests/tls/support.h"
#include "tls/record/record_reader.h"
#include "tls/record/record_writer.h"

namespace ktlsim::tls::test {

struct Cutting {
  std::size_t piece_bytes = 1;
  // A warning (user_canceled) before each protected piece.
  bool warnings = false;
};

class Recutter {
 public:
  // `from`: the side whose records pass through here. Its handshake must not have begun.
  Recutter(SSL_CTX* context, LibsslSide& from, Cutting cutting);

  // What `from` has sent since the last call, in other records.
  Buffer Drain();

  // A handshake record of our own under libssl's current keys.
  Buffer Forge(std::span<const std::byte> content);

  unsigned protected_handshake_records() const { return protected_records_; }

 private:
  static void KeyLogLine(const SSL* ssl, const char* line);
  void OneRecord(std::span<const std::byte> record, Buffer& out);
  void Plain(std::span<const std::byte> record, Buffer& out) const;
  bool FindKeys();
  bool Recut(std::span<const std::byte> record, Buffer& out);
  void Seal(ContentType type, std::span<const std::byte> content, Buffer& out);

  LibsslSide& from_;
  const Cutting cutting_;
  const bool client_;
  std::string handshake_secret_;  // TLS 1.3, hexadecimal
  bool change_cipher_spec_ = false;
  bool keys_changed_ = false;  // TLS 1.3: the traffic keys protect from here on
  std::optional<RecordReader> reader_;
  RecordWriter writer_;
  unsigned protected_records_ = 0;
};

}  // namespace ktlsim::tls::test
