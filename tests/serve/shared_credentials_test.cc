// Credentials that many wait for: one load for all of them, bounds, ages, retries, changes; with a
// loader and a clock that do what the test says.
#include "kernel_sim/serve/shared_credentials.h"

#include <ktlsim/sspi_ext.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/state_tables.h"

namespace ktlsim::serve {
namespace {

using Look = CertificateLoader::Look;
using LoadKind = CertificateLoad::Kind;
using When = SharedCredentials::When;
using transport::CredentialRef;

struct TestClock final : Clock {
  std::uint64_t NowNs() const override { return now_ns; }
  std::uint64_t now_ns = 1000 * kNsPerSecond;
};

struct Waiter final : transport::CredentialWaiter {
  void OnCredential() override { ++told; }
  int told = 0;
};

CertificateStamp StampOf(std::uint64_t inode) {
  CertificateStamp stamp;
  stamp.certificate.inode = inode;
  return stamp;
}

// A load stays under way until the test finishes it, unless what it comes to is known already.
class ScriptedLoader final : public CertificateLoader {
 public:
  struct Asked {
    std::string stem;
    CertificateStamp stamp;
    CredentialRef before;
  };

  Look LookAt(const std::string& /*stem*/, const CertificateStamp& stamp) override {
    ++looks;
    return stamp == StampOf(inode) ? look_if_same : Look::kChanged;
  }
  void Load(const std::string& stem, const CertificateStamp& stamp, CredentialRef before) override {
    ++loads[stem];
    if (!known.contains(stem) && !missing_else) {
      asked.push_back({stem, stamp, std::move(before)});
      return;
    }
    const LoadKind kind = known.contains(stem) ? known[stem] : LoadKind::kMissing;
    shared->OnLoaded(stem, Come(kind));
  }
  CertificateLoad Come(LoadKind kind) {
    CertificateLoad load{.kind = kind,
                         .credential = nullptr,
                         .stamp = StampOf(inode),
                         .status = SEC_E_UNKNOWN_CREDENTIALS};
    if (kind == LoadKind::kLoaded) {
      ++alive;
      load.credential = CredentialRef(new CredHandle(), [this](const CredHandle* handle) {
        --alive;
        delete handle;
      });
    }
    return load;
  }
  void Finish(LoadKind kind) {
    ASSERT_FALSE(asked.empty());
    const std::string stem = asked.front().stem;
    asked.pop_front();
    shared->OnLoaded(stem, Come(kind));
  }

  SharedCredentials* shared = nullptr;
  std::deque<Asked> asked;
  std::map<std::string, int> loads;
  std::map<std::string, LoadKind> known;
  bool missing_else = false;
  Look look_if_same = Look::kSame;
  std::uint64_t inode = 1;
  int looks = 0;
  int alive = 0;  // credentials
};

class SharedCredentialsTest : public testing::Test {
 protected:
  void Make(const SharedCredentialsOptions& options = {}) {
    options_ = options;
    shared_ = std::make_unique<SharedCredentials>(options, loader_, clock_);
    loader_.shared = shared_.get();
  }
  // What a client that asks for `name` gets at once.
  transport::CredentialOutcome TakeNow(const std::string& name) {
    Waiter waiter;
    if (shared_->Take(name, waiter) == When::kLater) {
      // The loader told it from inside.
      EXPECT_EQ(waiter.told, 1) << name;
    }
    return waiter.outcome;
  }
  void Later(std::uint64_t seconds) { clock_.now_ns += seconds * kNsPerSecond; }

  TestClock clock_;
  ScriptedLoader loader_;
  SharedCredentialsOptions options_;
  std::unique_ptr<SharedCredentials> shared_;
};

TEST_F(SharedCredentialsTest, ReadmeShowsTheTable) {
  test::ExpectReadmeShows("kernel_sim/serve/README.md", kSharedTable);
  test::ExpectLegalMovesOnly(kSharedTable, SharedState::kFailed, SharedEvent::kRetry);
}

TEST_F(SharedCredentialsTest, AllWhoComeWaitInOneLoad) {
  Make();
  std::vector<std::unique_ptr<Waiter>> waiters;
  for (int i = 0; i < 1000; ++i) {
    waiters.push_back(std::make_unique<Waiter>());
    EXPECT_EQ(shared_->Take("a.example", *waiters.back()), When::kLater);
  }
  EXPECT_EQ(loader_.loads, (std::map<std::string, int>{{"a.example", 1}}));
  loader_.Finish(LoadKind::kLoaded);
  for (const auto& waiter : waiters) {
    EXPECT_EQ(waiter->told, 1);
    EXPECT_NE(waiter->outcome.credential, nullptr);
    EXPECT_EQ(waiter->outcome.credential, waiters.front()->outcome.credential);
  }
  EXPECT_NE(TakeNow("A.Example").credential, nullptr);
  EXPECT_EQ(shared_->counts().events.loads, 1U);
}

TEST_F(SharedCredentialsTest, NamesOfOneWildcardWaitInOneLoad) {
  Make();
  loader_.known = {{"a.example", LoadKind::kMissing}, {"b.example", LoadKind::kMissing}};
  Waiter a;
  Waiter b;
  EXPECT_EQ(shared_->Take("a.example", a), When::kLater);
  EXPECT_EQ(shared_->Take("b.example", b), When::kLater);
  EXPECT_EQ(loader_.loads["_.example"], 1);
  loader_.Finish(LoadKind::kLoaded);
  EXPECT_EQ(a.told + b.told, 2);
  EXPECT_EQ(a.outcome.credential, b.outcome.credential);
}

TEST_F(SharedCredentialsTest, ExactBeforeWildcardBeforeDefault) {
  Make();
  loader_.missing_else = true;
  loader_.known = {{"default", LoadKind::kLoaded}};
  const CredentialRef by_default = TakeNow("a.example").credential;
  EXPECT_NE(by_default, nullptr);
  EXPECT_EQ(TakeNow("").credential, by_default);
  EXPECT_EQ(TakeNow("../a").credential, by_default);
  loader_.known["_.example"] = LoadKind::kLoaded;
  Later(2);
  const CredentialRef wildcard = TakeNow("a.example").credential;
  EXPECT_NE(wildcard, by_default);
  loader_.known["a.example"] = LoadKind::kLoaded;
  Later(2);
  const CredentialRef exact = TakeNow("a.example").credential;
  EXPECT_NE(exact, wildcard);
  EXPECT_EQ(TakeNow("b.example").credential, wildcard);
  EXPECT_EQ(TakeNow("a.b.example").credential, by_default);
}

TEST_F(SharedCredentialsTest, WithoutAnyTheStatusSaysWhatWasAskedFor) {
  Make();
  loader_.missing_else = true;
  EXPECT_EQ(TakeNow("a.example").status, SEC_E_TARGET_UNKNOWN);
  EXPECT_EQ(TakeNow("").status, SEC_E_NO_CREDENTIALS);
}

TEST_F(SharedCredentialsTest, AMissIsRememberedForAWhile) {
  Make();
  loader_.missing_else = true;
  for (int i = 0; i < 100; ++i) EXPECT_EQ(TakeNow("a.example").credential, nullptr);
  EXPECT_EQ(loader_.loads["a.example"], 1);
  Later(1);
  loader_.known["a.example"] = LoadKind::kLoaded;
  EXPECT_NE(TakeNow("a.example").credential, nullptr);
  EXPECT_EQ(loader_.loads["a.example"], 2);
}

TEST_F(SharedCredentialsTest, AFailureIsToldToThoseWhoWaitedAndTriedAgainLater) {
  Make();
  Waiter first;
  Waiter second;
  EXPECT_EQ(shared_->Take("a.example", first), When::kLater);
  EXPECT_EQ(shared_->Take("a.example", second), When::kLater);
  loader_.Finish(LoadKind::kFailed);
  for (const Waiter* const waiter : {&first, &second}) {
    EXPECT_EQ(waiter->told, 1);
    EXPECT_EQ(waiter->outcome.credential, nullptr);
    EXPECT_EQ(waiter->outcome.status, SEC_E_UNKNOWN_CREDENTIALS);
  }
  // No other certificate takes the place of one that is broken.
  EXPECT_EQ(TakeNow("a.example").status, SEC_E_UNKNOWN_CREDENTIALS);
  EXPECT_EQ(shared_->counts().events.loads, 1U);
  Later(1);
  loader_.known["a.example"] = LoadKind::kLoaded;
  EXPECT_NE(TakeNow("a.example").credential, nullptr);
}

TEST_F(SharedCredentialsTest, AChangedFileIsTakenAtTheNextUse) {
  Make();
  loader_.known["a.example"] = LoadKind::kLoaded;
  const CredentialRef old = TakeNow("a.example").credential;
  EXPECT_EQ(TakeNow("a.example").credential, old);
  EXPECT_EQ(loader_.looks, 1);
  loader_.known.clear();
  loader_.inode = 2;
  Waiter first;
  Waiter second;
  EXPECT_EQ(shared_->Take("a.example", first), When::kLater);
  EXPECT_EQ(shared_->Take("a.example", second), When::kLater);
  ASSERT_EQ(loader_.asked.size(), 1U);
  EXPECT_EQ(loader_.asked.front().before, old);  // whose sessions it takes over
  EXPECT_EQ(loader_.asked.front().stamp, StampOf(1));
  loader_.asked.front().before.reset();
  loader_.Finish(LoadKind::kLoaded);
  EXPECT_NE(first.outcome.credential, old);
  EXPECT_EQ(first.outcome.credential, second.outcome.credential);
  EXPECT_EQ(old.use_count(), 1);
}

TEST_F(SharedCredentialsTest, WhatCannotBeToldAtOnceIsLookedAtByTheLoader) {
  Make();
  loader_.known["a.example"] = LoadKind::kLoaded;
  const CredentialRef old = TakeNow("a.example").credential;
  loader_.look_if_same = Look::kCannotTell;
  loader_.known["a.example"] = LoadKind::kUnchanged;
  EXPECT_EQ(TakeNow("a.example").credential, old);
  EXPECT_EQ(loader_.loads["a.example"], 2);
}

TEST_F(SharedCredentialsTest, AChangedFileThatCannotBeUsedLeavesTheOldCredential) {
  Make();
  loader_.known["a.example"] = LoadKind::kLoaded;
  const CredentialRef old = TakeNow("a.example").credential;
  loader_.inode = 2;
  loader_.known["a.example"] = LoadKind::kFailed;
  EXPECT_EQ(TakeNow("a.example").credential, old);
  EXPECT_EQ(TakeNow("a.example").credential, old);
  EXPECT_EQ(loader_.loads["a.example"], 2);  // and is not tried with every use
  Later(1);
  loader_.known["a.example"] = LoadKind::kLoaded;
  EXPECT_NE(TakeNow("a.example").credential, old);
}

TEST_F(SharedCredentialsTest, AFileThatIsGoneGivesWayToTheNextOne) {
  Make();
  loader_.missing_else = true;
  loader_.known = {{"a.example", LoadKind::kLoaded}, {"default", LoadKind::kLoaded}};
  const CredentialRef exact = TakeNow("a.example").credential;
  loader_.known.erase("a.example");
  loader_.inode = 2;
  const CredentialRef by_default = TakeNow("a.example").credential;
  EXPECT_NE(by_default, nullptr);
  EXPECT_NE(by_default, exact);
  EXPECT_EQ(exact.use_count(), 1);
}

TEST_F(SharedCredentialsTest, TheLeastRecentlyUsedGoesWhereThereIsABound) {
  Make({.kept_max = 2});
  loader_.known = {{"a", LoadKind::kLoaded}, {"b", LoadKind::kLoaded}, {"c", LoadKind::kLoaded}};
  static_cast<void>(TakeNow("a"));
  static_cast<void>(TakeNow("b"));
  static_cast<void>(TakeNow("a"));
  const CredentialRef c = TakeNow("c").credential;
  EXPECT_EQ(loader_.alive, 2);
  EXPECT_EQ(shared_->counts().events.evicted, 1U);
  static_cast<void>(TakeNow("a"));
  EXPECT_EQ(loader_.loads["a"], 1);
  static_cast<void>(TakeNow("b"));
  EXPECT_EQ(loader_.loads["b"], 2);
  // One that a handshake has is freed with that.
  EXPECT_EQ(c.use_count(), 1);
  EXPECT_EQ(loader_.alive, 3);
}

TEST_F(SharedCredentialsTest, TheUnusedAreFreed) {
  Make({.kept_ns = 60 * kNsPerSecond});
  EXPECT_EQ(shared_->FreeUnused(), 0U);
  loader_.known = {{"a", LoadKind::kLoaded}, {"b", LoadKind::kLoaded}};
  static_cast<void>(TakeNow("a"));
  Later(30);
  static_cast<void>(TakeNow("b"));
  EXPECT_EQ(shared_->FreeUnused(), 30 * kNsPerSecond);
  EXPECT_EQ(loader_.alive, 2);
  Later(30);
  EXPECT_EQ(shared_->FreeUnused(), 30 * kNsPerSecond);
  EXPECT_EQ(loader_.alive, 1);
  Later(29);
  static_cast<void>(TakeNow("b"));
  Later(59);
  EXPECT_EQ(shared_->FreeUnused(), kNsPerSecond);
  Later(1);
  EXPECT_EQ(shared_->FreeUnused(), 0U);
  EXPECT_EQ(loader_.alive, 0);
  EXPECT_EQ(shared_->counts().events.aged, 2U);
}

TEST_F(SharedCredentialsTest, KeptForGoodWhereSoAsked) {
  Make({.kept_max = 0, .kept_ns = 0});
  for (int i = 0; i < 5000; ++i) {
    const std::string name = "n" + std::to_string(i);
    loader_.known[name] = LoadKind::kLoaded;
    static_cast<void>(TakeNow(name));
  }
  Later(100000);
  EXPECT_EQ(shared_->FreeUnused(), 0U);
  EXPECT_EQ(loader_.alive, 5000);
}

TEST_F(SharedCredentialsTest, AHundredThousandNamesLeaveNoMoreThanTheBound) {
  Make({.refused_max = 1000});
  loader_.missing_else = true;
  loader_.known["default"] = LoadKind::kLoaded;
  for (int i = 0; i < 100000; ++i) {
    ASSERT_NE(TakeNow("r" + std::to_string(i) + ".d" + std::to_string(i)).credential, nullptr);
    ASSERT_LE(shared_->counts().refused, 1000U);
  }
  EXPECT_EQ(shared_->counts().kept, 1U);
  EXPECT_EQ(shared_->counts().loading, 0U);
  Later(1);
  static_cast<void>(shared_->FreeUnused());
  EXPECT_EQ(shared_->counts().refused, 0U);
  // Those that are no host names lead to no entry at all.
  const std::uint64_t loads = shared_->counts().events.loads;
  for (int i = 0; i < 1000; ++i) {
    ASSERT_NE(TakeNow("../" + std::to_string(i)).credential, nullptr);
    ASSERT_NE(TakeNow(std::string("a\0b", 3) + std::to_string(i)).credential, nullptr);
  }
  EXPECT_EQ(shared_->counts().events.loads, loads);
}

TEST_F(SharedCredentialsTest, LoadsUnderWayAreBounded) {
  Make({.loads_max = 10});
  std::vector<std::unique_ptr<Waiter>> waiters;
  for (int i = 0; i < 100; ++i) {
    waiters.push_back(std::make_unique<Waiter>());
    const When when = shared_->Take("n" + std::to_string(i), *waiters.back());
    EXPECT_EQ(when, i < 10 ? When::kLater : When::kNow);
    if (i >= 10) {
      EXPECT_EQ(waiters.back()->outcome.status, SEC_E_INSUFFICIENT_MEMORY);
    }
  }
  // Who waits for one of them does not count.
  Waiter one_more;
  EXPECT_EQ(shared_->Take("n3", one_more), When::kLater);
  EXPECT_EQ(shared_->counts().events.turned_away, 90U);
  for (int i = 0; i < 10; ++i) loader_.Finish(LoadKind::kLoaded);
  EXPECT_NE(one_more.outcome.credential, nullptr);
  loader_.known["n50"] = LoadKind::kLoaded;
  EXPECT_NE(TakeNow("n50").credential, nullptr);
}

TEST_F(SharedCredentialsTest, WhoIsWithdrawnIsNotTold) {
  Make();
  Waiter first;
  Waiter middle;
  Waiter last;
  for (Waiter* const waiter : {&first, &middle, &last}) {
    EXPECT_EQ(shared_->Take("a.example", *waiter), When::kLater);
  }
  EXPECT_TRUE(shared_->Withdraw(middle));
  EXPECT_TRUE(shared_->Withdraw(first));
  EXPECT_TRUE(shared_->Withdraw(last));
  Waiter later;
  EXPECT_EQ(shared_->Take("a.example", later), When::kLater);
  loader_.Finish(LoadKind::kLoaded);
  EXPECT_EQ(first.told + middle.told + last.told, 0);
  EXPECT_EQ(later.told, 1);
  EXPECT_FALSE(shared_->Withdraw(later));
}

TEST_F(SharedCredentialsTest, SessionsOfAPredecessorAreTakenOver) {
  Make({.kept_ns = 60 * kNsPerSecond});
  loader_.known["a"] = LoadKind::kLoaded;
  static_cast<void>(TakeNow("a"));
  SharedCredentials::Kept kept = shared_->KeptNow();
  ASSERT_EQ(kept.size(), 1U);
  const CredentialRef old = kept.begin()->second;
  Make({.kept_ns = 60 * kNsPerSecond});
  shared_->Inherit(std::move(kept));
  loader_.known.clear();
  Waiter waiter;
  EXPECT_EQ(shared_->Take("a", waiter), When::kLater);
  EXPECT_EQ(loader_.asked.front().before, old);
  loader_.Finish(LoadKind::kLoaded);
  // As long as it would have been kept itself.
  Later(60);
  static_cast<void>(shared_->FreeUnused());
  EXPECT_EQ(old.use_count(), 1);
}

}  // namespace
}  // namespace ktlsim::serve
