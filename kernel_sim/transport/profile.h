// TlsProfile: how to make TLS on a connection: credential, names, flags, limits.
//
// Made once at passive level and then only read; it must outlive every connection that uses it. The
// credential handle stays the caller's: free it when the path has stopped.
#pragma once

#include <sspi.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/result.h"
#include "kernel_sim/transport/credential_source.h"
#include "kernel_sim/transport/limits.h"

namespace ktlsim::transport {

inline constexpr ULONG kServerFlags = ASC_REQ_SEQUENCE_DETECT | ASC_REQ_CONFIDENTIALITY |
                                      ASC_REQ_EXTENDED_ERROR | ASC_REQ_STREAM |
                                      ASC_REQ_SESSION_TICKET;
inline constexpr ULONG kClientFlags = ISC_REQ_SEQUENCE_DETECT | ISC_REQ_CONFIDENTIALITY |
                                      ISC_REQ_EXTENDED_ERROR | ISC_REQ_STREAM |
                                      ISC_REQ_USE_SUPPLIED_CREDS;

// How much plaintext one record carries. A large record costs least, but its receiver can use
// nothing of it before the last of its TCP segments has come; so the first records of a burst may
// be small ones, each in a segment of its own.
struct RecordSizing {
  // No record carries more, even where the version permits it.
  std::uint32_t bytes_max = 16384;
  // Dynamic: so many bytes of a burst go into records of `first_bytes_max`. 0: fixed size.
  std::uint32_t first_bytes = 0;
  std::uint32_t first_bytes_max = 1369;
  // Dynamic: a burst ends when nothing has been sent for so long.
  std::uint64_t idle_ns = kNsPerSecond;

  static RecordSizing Fixed(std::uint32_t bytes_max) { return {.bytes_max = bytes_max}; }
  // 40 records that fit one segment each on a link of 1500 bytes (with IPv6, TCP options, TLS 1.2);
  // then full size, until a second of silence. Other servers use about the same values.
  static RecordSizing Dynamic() { return {.first_bytes = 40 * 1369}; }
};

struct TlsOptions {
  CredHandle credential{};  // inbound for servers, outbound for clients
  // Servers: gives each connection its credential instead. It must outlive every connection, as
  // `credential` must.
  CredentialSource* credential_source = nullptr;
  std::string target_name;        // clients: SNI, certificate check, session cache
  std::vector<std::string> alpn;  // in order of preference; empty: none
  ULONG flags = 0;                // 0: kServerFlags or kClientFlags; never ...ALLOCATE_MEMORY
  Limits limits;
  RecordSizing record_sizing;
  // After so many sealed records the connection asks for a KeyUpdate that may be due (a leg without
  // input). Far below what one AES-GCM key may seal, 2^24.5 records (RFC 8446 5.5), and so rarely
  // that the extra leg costs nothing measurable.
  std::uint64_t records_between_key_checks = std::uint64_t{1} << 20;
};

class TlsProfile {
 public:
  enum class Side : std::uint8_t { kServer, kClient };

  // kContract with words: an ALPN name that is empty or longer than 255 bytes, or too many of them;
  // a record size outside 64 to 16384; no records between key checks; a client with a credential
  // source.
  static Result<TlsProfile> Create(Side side, TlsOptions options);

  Side side() const { return side_; }
  bool is_server() const { return side_ == Side::kServer; }
  const CredHandle& credential() const { return options_.credential; }
  CredentialSource* credential_source() const { return options_.credential_source; }
  const std::string& target_name() const { return options_.target_name; }
  ULONG flags() const { return options_.flags; }
  const Limits& limits() const { return options_.limits; }
  const RecordSizing& record_sizing() const { return options_.record_sizing; }
  std::uint64_t records_between_key_checks() const { return options_.records_between_key_checks; }
  // A SEC_APPLICATION_PROTOCOLS; empty: none.
  const std::vector<std::byte>& alpn_buffer() const { return alpn_buffer_; }

 private:
  TlsProfile(Side side, TlsOptions options) : options_(std::move(options)), side_(side) {}

  TlsOptions options_;
  std::vector<std::byte> alpn_buffer_;
  Side side_;
};

}  // namespace ktlsim::transport
