// What a finished handshake leaves: reader, writer, facts, and the little state that late
// handshake messages need. No OpenSSL connection object is among them, except in a client that
// still waits for its ticket.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tls/handshake/post_handshake.h"
#include "tls/identity/certificate.h"
#include "tls/identity/issuer_keys.h"
#include "tls/identity/peer_chain.h"
#include "tls/record/record_reader.h"
#include "tls/record/record_writer.h"
#include "tls/types.h"

namespace ktlsim::tls {

// A Finished message's verify_data: 12 bytes in TLS 1.2, a hash in TLS 1.3.
struct FinishedValue {
  std::array<std::uint8_t, Secret::kBytesMax> bytes{};
  std::uint8_t size = 0;
  std::span<const std::uint8_t> span() const { return {bytes.data(), size}; }
};

struct ConnectionFacts {
  Role role = Role::kServer;
  Version version = Version::kTls13;
  const SuiteInfo* suite = nullptr;
  // NamedGroup of RFC 8446 4.2.7 (29: X25519, 23: P-256); 0: none, a resumed TLS 1.2 session.
  std::uint16_t group = 0;
  // SignatureScheme with which the peer, and we, signed; 0: no signature.
  std::uint16_t peer_signature = 0;
  std::uint16_t local_signature = 0;
  bool resumed = false;

  std::shared_ptr<const PeerChain> peer_chain;  // nullptr: none was sent
  Certificate::Ptr local_certificate;           // nullptr: none was sent
  // The endpoint judges certificates and the peer sent one; else the next two say nothing.
  bool peer_judged = false;
  // X509_V_OK (0), or why the peer's certificate does not pass; only with verify_peer off can it
  // differ from 0. `verify_failure` says the same in words.
  int verify_error = 0;
  const char* verify_failure = "";
  CertificateFault certificate_fault = CertificateFault::kNone;
  // A server's: the keys above the client's certificate in the chain that passed; also of a resumed
  // session, which remembers them.
  std::vector<IssuerKeys::Key> peer_issuers;

  std::string alpn;         // empty: none selected
  std::string server_name;  // SNI, sent or received; empty: none
  std::array<std::uint8_t, 32> session_id{};
  std::uint8_t session_id_bytes = 0;

  // TLS 1.3: the exporter master secret. TLS 1.2: the master secret.
  Secret exporter_secret;
  std::array<std::uint8_t, 32> client_random{};
  std::array<std::uint8_t, 32> server_random{};
  FinishedValue client_finished;
  FinishedValue server_finished;
  bool extended_master_secret = false;

  // RFC 8446 7.5 or RFC 5705. False: the library failed.
  [[nodiscard]] bool ExportKeyingMaterial(std::string_view label,
                                          std::optional<std::span<const std::uint8_t>> context,
                                          std::span<std::uint8_t> out) const;
};

struct Established {
  RecordReader reader;
  RecordWriter writer;
  ConnectionFacts facts;
  std::unique_ptr<PostHandshake> post_handshake;  // never nullptr
};

}  // namespace ktlsim::tls
