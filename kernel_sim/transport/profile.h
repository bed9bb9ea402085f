// TlsProfile: how to make TLS on a connection: credential, names, flags, limits.
//
// Made once at passive level and then only read; it must outlive every connection that uses it. The
// credential handle stays the caller's: free it when the path has stopped.
#pragma once

#include <sspi.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kernel_sim/base/result.h"
#include "kernel_sim/transport/limits.h"

namespace ktlsim::transport {

inline constexpr ULONG kServerFlags = ASC_REQ_SEQUENCE_DETECT | ASC_REQ_CONFIDENTIALITY |
                                      ASC_REQ_EXTENDED_ERROR | ASC_REQ_STREAM |
                                      ASC_REQ_SESSION_TICKET;
inline constexpr ULONG kClientFlags = ISC_REQ_SEQUENCE_DETECT | ISC_REQ_CONFIDENTIALITY |
                                      ISC_REQ_EXTENDED_ERROR | ISC_REQ_STREAM |
                                      ISC_REQ_USE_SUPPLIED_CREDS;

struct TlsOptions {
  CredHandle credential{};        // inbound for servers, outbound for clients
  std::string target_name;        // clients: SNI, certificate check, session cache
  std::vector<std::string> alpn;  // in order of preference; empty: none
  ULONG flags = 0;                // 0: kServerFlags or kClientFlags; never ...ALLOCATE_MEMORY
  Limits limits;
};

class TlsProfile {
 public:
  enum class Side : std::uint8_t { kServer, kClient };

  // kContract with words: an ALPN name that is empty or longer than 255 bytes, or too many of them.
  static Result<TlsProfile> Create(Side side, TlsOptions options);

  Side side() const { return side_; }
  bool is_server() const { return side_ == Side::kServer; }
  const CredHandle& credential() const { return options_.credential; }
  const std::string& target_name() const { return options_.target_name; }
  ULONG flags() const { return options_.flags; }
  const Limits& limits() const { return options_.limits; }
  // A SEC_APPLICATION_PROTOCOLS; empty: none.
  const std::vector<std::byte>& alpn_buffer() const { return alpn_buffer_; }

 private:
  TlsProfile(Side side, TlsOptions options) : options_(std::move(options)), side_(side) {}

  TlsOptions options_;
  std::vector<std::byte> alpn_buffer_;
  Side side_;
};

}  // namespace ktlsim::transport
