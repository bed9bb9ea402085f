// PeerChain: the certificates a peer sent, leaf first. Interned: connections from the same peer
// share one copy.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace ktlsim::tls {

struct PeerChain {
  // A resumed session remembers the leaf only.
  std::vector<std::vector<std::uint8_t>> der;
};

// The shared copy of `chain`. Any thread. nullptr: out of memory, or an empty chain.
std::shared_ptr<const PeerChain> InternPeerChain(PeerChain chain);

}  // namespace ktlsim::tls
