#include "tls/identity/peer_chain.h"

#include <new>
#include <string>
#include <unordered_map>
#include <utility>

#include "kernel_sim/base/mutex.h"

namespace ktlsim::tls {
namespace {

// Chains by their content. Entries whose last connection is gone are swept when the table has
// doubled, so it holds at most about twice the chains in use.
class InternTable {
 public:
  std::shared_ptr<const PeerChain> Intern(PeerChain chain) {
    std::string content;
    for (const auto& certificate : chain.der) {
      content.append(certificate.begin(), certificate.end());
      content.push_back('\0');
    }
    MutexLock lock(mutex_);
    std::weak_ptr<const PeerChain>& entry = chains_[std::move(content)];
    if (auto known = entry.lock()) return known;
    auto fresh = std::make_shared<const PeerChain>(std::move(chain));
    entry = fresh;
    if (chains_.size() > sweep_at_) {
      std::erase_if(chains_, [](const auto& item) { return item.second.expired(); });
      sweep_at_ = 2 * chains_.size() + kSweepMin;
    }
    return fresh;
  }

 private:
  static constexpr std::size_t kSweepMin = 64;

  Mutex mutex_;
  std::unordered_map<std::string, std::weak_ptr<const PeerChain>> chains_ KTLSIM_GUARDED_BY(mutex_);
  std::size_t sweep_at_ KTLSIM_GUARDED_BY(mutex_) = kSweepMin;
};

}  // namespace

std::shared_ptr<const PeerChain> InternPeerChain(PeerChain chain) {
  if (chain.der.empty()) return nullptr;
  try {
    static InternTable table;
    return table.Intern(std::move(chain));
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

}  // namespace ktlsim::tls
