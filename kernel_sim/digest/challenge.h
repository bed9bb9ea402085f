// Challenge: what a server sends in WWW-Authenticate (RFC 7616 3.3).
//
// What a newcomer gets wrong: SSPI's tokens and this text do not begin with the scheme's name;
// reading accepts one. Any level, no state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernel_sim/digest/algorithm.h"
#include "kernel_sim/digest/directive_writer.h"
#include "kernel_sim/digest/directives.h"

namespace ktlsim::digest {

// Values view the text that was read, or `room`; both must live as long.
struct Challenge {
  std::string_view realm;   // may be empty
  std::string_view domain;  // a list of URIs with spaces between; empty: all of the server
  std::string_view nonce;
  std::string_view opaque;  // empty: there is none
  Algorithm algorithm = Algorithm::kMd5;
  QopSet qops;
  bool stale = false;
  bool utf8 = false;      // charset=UTF-8
  bool userhash = false;  // the server understands hashed usernames
  ValueRoom room;
};

// kUnknownAlgorithm, kUnknownQop: another challenge of the same server may do. A challenge without
// `qop` (RFC 2069) is kUnknownQop, too, since nothing would count the requests. Unknown directives
// and unknown values of `qop` and `charset` are passed over. *out is to be used with kNone only.
Fault ParseChallenge(std::string_view text, Challenge* out);

// Without a scheme's name. kMissing: no nonce or no quality of protection.
Written FormatChallenge(const Challenge& challenge, std::span<char> room);

// One of the challenges of a header.
struct SchemeChallenge {
  std::string_view scheme;      // such as "Digest", as it was written
  std::string_view parameters;  // the list, or the one token68 that some schemes have
};

// Takes a header apart that may have several challenges, of Digest and of other schemes, with
// commas between them (RFC 9110 11.6.1).
class ChallengeListReader {
 public:
  enum class Next : std::uint8_t { kChallenge, kEnd, kFault };

  explicit ChallengeListReader(std::string_view header) : header_(header) {}

  // kFault: this is no list of challenges, and the rest of it is lost; fault() says why.
  Next Read(SchemeChallenge* out);
  Fault fault() const { return fault_; }

 private:
  Next Fail(Fault fault);

  std::string_view header_;  // what has not been read
  bool looked_ = false;      // for its length, and for control characters
  Fault fault_ = Fault::kNone;
};

}  // namespace ktlsim::digest
