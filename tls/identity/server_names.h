// ServerNameTable: which certificates are for the name that a client asks for (RFC 6066 3). Names
// are plain values here; OpenSSL is not involved.
//
// Built once, then read by any number of threads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ktlsim::tls {

class ServerNameTable {
 public:
  // Places in the list of certificates, the preferred one first.
  using Places = std::vector<std::uint32_t>;

  enum class Source : std::uint8_t {
    kCaller,       // given by the server's owner: takes precedence
    kCertificate,  // found in the certificate
  };

  // The form in which names are compared: lower case, without one trailing dot. Empty: no DNS name
  // (RFC 1123 2.1: an address is none), or a wildcard without `wildcard_allowed`.
  static std::string Normalize(std::string_view name, bool wildcard_allowed);

  // `name` may be "*." and a name: exactly one label more. False: no name, nothing was added.
  bool Add(std::string_view name, std::uint32_t place, Source source);

  // The entry of the name itself, else of a wildcard that covers it; nullptr: there is none. Takes
  // hostile input.
  const Places* Find(std::string_view name) const;

 private:
  struct Entry {
    Places by_caller;
    Places by_certificate;
    const Places& places() const { return by_caller.empty() ? by_certificate : by_caller; }
  };
  using Entries = std::unordered_map<std::string, Entry>;

  Entries names_;
  Entries wildcards_;  // by what follows "*."
};

}  // namespace ktlsim::tls
