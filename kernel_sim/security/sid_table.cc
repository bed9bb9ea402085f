#include "kernel_sim/security/sid_table.h"

#include <utility>

namespace ktlsim::security {

bool SidTable::Add(const Sid& sid) {
  if (Find(sid)) return false;
  sids_.push_back(sid);
  if (sids_.size() * 2 <= slots_.size()) {
    Place(sid.view().hash(), static_cast<std::uint32_t>(sids_.size() - 1));
    return true;
  }
  slots_ = std::vector<Slot>(slots_.empty() ? 8 : slots_.size() * 2);
  for (std::size_t i = 0; i < sids_.size(); ++i) {
    Place(sids_[i].view().hash(), static_cast<std::uint32_t>(i));
  }
  return true;
}

void SidTable::Place(std::uint64_t hash, std::uint32_t index) {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = hash & mask;
  while (slots_[at].index != kFree) at = (at + 1) & mask;
  slots_[at] = {.hash = hash, .index = index};
}

}  // namespace ktlsim::security
