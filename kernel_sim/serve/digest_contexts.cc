#include "kernel_sim/serve/digest_contexts.h"

#include <iterator>
#include <new>

namespace ktlsim::serve {

std::size_t DigestContexts::Hash::operator()(const CtxtHandle& context) const {
  return static_cast<std::size_t>(context.dwLower * 0x9e3779b97f4a7c15ULL ^ context.dwUpper);
}

DigestContexts::~DigestContexts() { DeleteAll(); }

void DigestContexts::NoteChallenge(const CtxtHandle& context, std::uint64_t now_ns) {
  Note(context, false, now_ns);
}

void DigestContexts::NoteUse(const CtxtHandle& context, std::uint64_t now_ns) {
  Note(context, true, now_ns);
}

void DigestContexts::Note(const CtxtHandle& context, bool established, std::uint64_t now_ns) {
  MutexLock lock(lock_);
  const auto known = known_.find(context);
  if (known != known_.end()) {
    const Entries::iterator entry = known->second;
    Entries& from = entry->established ? established_ : challenges_;
    // An established context that is challenged again remains one.
    entry->established = entry->established || established;
    entry->used_ns = now_ns;
    Entries& to = entry->established ? established_ : challenges_;
    to.splice(to.end(), from, entry);
  } else {
    Insert(context, established, now_ns);
  }
  DropOver(challenges_, bounds_.challenges_max, bounds_.challenge_ns, now_ns);
  DropOver(established_, bounds_.established_max, bounds_.idle_ns, now_ns);
}

void DigestContexts::Insert(const CtxtHandle& context, bool established, std::uint64_t now_ns) {
  Entries& entries = established ? established_ : challenges_;
  try {
    entries.push_back({.context = context, .used_ns = now_ns, .established = established});
    known_.emplace(context, std::prev(entries.end()));
  } catch (const std::bad_alloc&) {
    if (!entries.empty() && Same()(entries.back().context, context)) entries.pop_back();
  }
}

// Two at a time: fewer come than go, and no call takes long.
void DigestContexts::DropOver(Entries& entries, std::size_t max, std::uint64_t life_ns,
                              std::uint64_t now_ns) {
  for (int i = 0; i < 2 && !entries.empty(); ++i) {
    const Entry& oldest = entries.front();
    if (entries.size() <= max && now_ns <= oldest.used_ns + life_ns) return;
    known_.erase(oldest.context);
    entries.pop_front();
  }
}

void DigestContexts::DeleteAll() {
  Entries all;
  {
    MutexLock lock(lock_);
    known_.clear();
    all.splice(all.end(), challenges_);
    all.splice(all.end(), established_);
  }
  // A handle may be dead already.
  for (Entry& entry : all) static_cast<void>(DeleteSecurityContext(&entry.context));
}

std::size_t DigestContexts::size() const {
  MutexLock lock(lock_);
  return known_.size();
}

}  // namespace ktlsim::serve
