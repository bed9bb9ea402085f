// The files of a certificate, by the name that a client asks for. What the client sends is hostile:
// only a host name of letters, digits and hyphens gets as far as a path (RFC 952, RFC 1123 2.1).
//
//   www.example.org   for this name
//   _.example.org     for every name with one label more ("*.example.org"; a file's name is no
//                     place for an asterisk, and no host name has an underscore)
//   default           for a client that asks for no name, or for one that no other file is for
//
// With ".crt" and ".key". Private to serve/.
#pragma once

#include <string>
#include <string_view>

namespace ktlsim::serve {

inline constexpr std::string_view kDefaultStem = "default";

// The host name that `asked` is, in lower case and without the dot at its end. Empty: it is none: a
// label is empty, longer than 63 bytes, has other bytes than letters, digits and hyphens, or a
// hyphen at an end; the last one is a number, as in an address; or it is too long for a file.
std::string HostNameOf(std::string_view asked);

// What to look for, one after the other: `step` is 0, 1, ... Empty: that was all. `host`: from
// HostNameOf. `strict`: the default is only for clients that ask for no name.
std::string StemFor(std::string_view host, unsigned step, bool named, bool strict);

// Whether a client's name can lead to files of this stem.
bool IsStem(std::string_view stem);

}  // namespace ktlsim::serve
