// The connection of a RedisStore: finding the server, logging in, waiting, trying again.
#include <algorithm>
#include <utility>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/context_store/redis_store.h"

namespace ktlsim::context_store {

void RedisStore::Start() { Attempt(); }

void RedisStore::Attempt() {
  if (sentinels_) {
    Move(RedisEvent::kFind);
    sentinels_->Begin();
  } else {
    ConnectTo(options_.servers.front());
  }
}

void RedisStore::ConnectTo(const io::Address& server) {
  Move(RedisEvent::kConnect);
  loop_.StartTimer(link_timer_, loop_.NowNs() + options_.limit_ns);
  link_.Connect(server);
}

void RedisStore::OnMaster(const io::Address& master) {
  if (state_ == RedisState::kStopping) {
    Ended(StoreResult::kStopped, "");
  } else {
    ConnectTo(master);
  }
}

void RedisStore::OnNoMaster(const char* words) { Ended(StoreResult::kUnavailable, words); }

void RedisStore::OnLinkOpen() {
  Move(RedisEvent::kOpen);
  login_.Begin(login_facts_);
}

void RedisStore::OnLoginFailed(StoreResult why, const char* words) { CloseLink(why, words); }

void RedisStore::OnLoggedIn(std::uint64_t epoch) {
  if (state_ != RedisState::kLoggingIn) return;
  Move(RedisEvent::kReady);
  loop_.StopTimer(link_timer_);
  back_off_ns_ = kBackOffMinNs;
  problem_ = StoreResult::kUnavailable;
  failures_ = 0;
  epoch_.store(epoch, std::memory_order_relaxed);
  if (options_.watcher != nullptr) options_.watcher->OnStoreUp();
  while (state_ == RedisState::kUp && !waiting_.empty()) Submit(*waiting_.PopFront());
}

void RedisStore::OnLinkTimer() {
  if (state_ == RedisState::kWaiting) {
    Attempt();
  } else {
    CloseLink(StoreResult::kUnavailable, "the server does not reply");
  }
}

void RedisStore::CloseLink(StoreResult why, const char* words) {
  if (!kRedisTable.Legal(state_, RedisEvent::kClose)) return;
  Move(RedisEvent::kClose);
  problem_ = why;
  link_.Close(why, words);
}

void RedisStore::OnLinkDown(StoreResult why, std::string_view words) { Ended(why, words); }

void RedisStore::Ended(StoreResult why, std::string_view words) {
  Move(RedisEvent::kEnd);
  loop_.StopTimer(link_timer_);
  to_confirm_.clear();
  if (state_ == RedisState::kStopped) {
    StopIfQuiet();
    return;
  }
  problem_ = why;
  if (options_.watcher != nullptr) options_.watcher->OnStoreDown(why, words);
  CompleteWaiting(why);
  if (state_ != RedisState::kWaiting) return;
  loop_.StartTimer(link_timer_, loop_.NowNs() + back_off_ns_);
  back_off_ns_ = std::min(2 * back_off_ns_, kBackOffMaxNs);
}

void RedisStore::Stop(WorkItem& stopped) {
  KTLSIM_ASSERT(stopped_ == nullptr);
  stopped_ = &stopped;
  const bool finding = state_ == RedisState::kFinding;
  Move(RedisEvent::kStop);
  loop_.StopTimer(link_timer_);
  CompleteWaiting(StoreResult::kStopped);
  if (finding && sentinels_) sentinels_->Cancel();
  link_.Close(StoreResult::kStopped, "the store stops");
  StopIfQuiet();
}

void RedisStore::StopIfQuiet() {
  if (state_ != RedisState::kStopped || calls_.load(std::memory_order_relaxed) != 0) return;
  if (WorkItem* const stopped = std::exchange(stopped_, nullptr)) loop_.Post(*stopped);
}

}  // namespace ktlsim::context_store
