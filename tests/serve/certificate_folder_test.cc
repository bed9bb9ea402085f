// A folder of certificates, with real files and the library: which file a name gets, what is wrong
// with others, changes, links, and how often each is acquired.
#include "kernel_sim/serve/certificate_folder.h"

#include <fcntl.h>
#include <ktlsim/sspi_ext.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/hang_limit.h"
#include "tests/support/sspi_pair.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/test_authority.h"

namespace ktlsim::serve {
namespace {

using testing::Test;
using transport::CredentialOutcome;

class FolderWaiter final : public transport::CredentialWaiter {
 public:
  void OnCredential() override {
    const std::lock_guard lock(mutex_);
    told_ = true;
    changed_.notify_all();
  }
  bool Wait() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, test::kHangLimit, [this] { return told_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool told_ = false;
};

class Failures final : public CertificateWatcher {
 public:
  void OnCertificateFailed(std::string_view file, std::string_view why) override {
    const std::lock_guard lock(mutex_);
    texts_.push_back(std::string(file).append(": ").append(why));
  }
  void OnCertificateAcquired(std::string_view file) override {
    const std::lock_guard lock(mutex_);
    acquired_.emplace_back(file);
  }
  std::string last() {
    const std::lock_guard lock(mutex_);
    return texts_.empty() ? "" : texts_.back();
  }
  std::size_t acquired() {
    const std::lock_guard lock(mutex_);
    return acquired_.size();
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> texts_;
  std::vector<std::string> acquired_;
};

struct ManualClock final : Clock {
  std::uint64_t NowNs() const override { return now_ns.load(); }
  std::atomic<std::uint64_t> now_ns{kNsPerSecond};
};

class CertificateFolderTest : public Test {
 protected:
  void SetUp() override {
    KtlsimOptions options{};
    options.cbSize = sizeof(options);
    options.cProcessors = 2;
    ASSERT_EQ(KtlsimStart(&options), SEC_E_OK) << KtlsimLastErrorText();
  }
  // No credential, no async context and no certificate is left.
  void TearDown() override {
    certificates_.reset();
    EXPECT_EQ(KtlsimStop(), SEC_E_OK);
    KtlsimStatistics statistics{};
    statistics.cbSize = sizeof(statistics);
    ASSERT_EQ(KtlsimQueryStatistics(&statistics), SEC_E_OK);
    EXPECT_EQ(statistics.cCredentials, 0U);
    EXPECT_EQ(statistics.cAsyncContexts, 0U);
    EXPECT_EQ(statistics.cMisuse, 0U);
  }

  // `stem`.crt and .key, for the name `subject`.
  void Put(const std::string& stem, const std::string& subject,
           test::IssuedCertificate::Validity validity = {}) {
    const test::IssuedCertificate leaf = root_.Leaf(subject, validity);
    Replace(stem + ".crt", leaf.Pem());
    Replace(stem + ".key", leaf.KeyPem());
  }
  // At once, as one should: another inode.
  void Replace(const std::string& name, const std::string& text) const {
    const std::string fresh = folder_.Write("fresh", text);
    std::filesystem::rename(fresh, folder_.File(name));
  }

  void Open(SharedCredentialsOptions shared = {}) {
    CertificateFolderOptions options;
    options.path = folder_.path();
    options.shared = shared;
    options.watcher = &failures_;
    options.clock = &clock_;
    auto opened = CertificateFolder::Open(std::move(options));
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    certificates_ = std::move(*opened);
  }
  CredentialOutcome Take(const std::string& name) {
    FolderWaiter waiter;
    if (certificates_->Take(name, waiter) == CertificateFolder::When::kLater) {
      EXPECT_TRUE(waiter.Wait()) << name;
    }
    return std::move(waiter.outcome);
  }
  // The common name in the certificate that a client is shown; or the status.
  std::string Shown(const std::string& name) {
    const CredentialOutcome outcome = Take(name);
    if (outcome.credential == nullptr) return KtlsimStatusName(outcome.status);
    CredHandle credential = *outcome.credential;
    test::TestCredential client_credential = test::TestCredential::Client();
    test::TestEnd client(false);
    test::TestEnd server(true);
    for (int i = 0; i < 10 && client.status != SEC_E_OK; ++i) {
      test::Append(server.inbox, client.Leg(client_credential.get()));
      if (client.status != SEC_E_OK) test::Append(client.inbox, server.Leg(&credential));
    }
    PCCERT_CONTEXT certificate = nullptr;
    EXPECT_EQ(QueryContextAttributesA(&client.context, SECPKG_ATTR_REMOTE_CERT_CONTEXT,
                                      static_cast<void*>(&certificate)),
              SEC_E_OK);
    if (certificate == nullptr) return "none";
    const std::string der(reinterpret_cast<const char*>(certificate->pbCertEncoded),
                          certificate->cbCertEncoded);
    CertFreeCertificateContext(certificate);
    for (const std::string subject : {"exact", "wildcard", "default", "first", "second"}) {
      if (der.find("cn-" + subject) != std::string::npos) return subject;
    }
    return "another";
  }
  void Later(std::uint64_t seconds) { clock_.now_ns += seconds * kNsPerSecond; }

  const test::IssuedCertificate root_ = test::IssuedCertificate::Root("ktlsim tests");
  const test::TemporaryFolder folder_;
  Failures failures_;
  ManualClock clock_;
  std::unique_ptr<CertificateFolder> certificates_;
};

TEST_F(CertificateFolderTest, AFolderThatIsNotThereIsAStatus) {
  CertificateFolderOptions options;
  options.path = folder_.File("nothing");
  EXPECT_FALSE(CertificateFolder::Open(options).ok());
}

TEST_F(CertificateFolderTest, EachNameGetsItsFile) {
  Put("www.example.org", "cn-exact");
  Put("_.example.org", "cn-wildcard");
  Put("default", "cn-default");
  Open();
  EXPECT_EQ(failures_.acquired(), 0U);  // nothing is read before it is asked for
  EXPECT_EQ(Shown("www.example.org"), "exact");
  EXPECT_EQ(failures_.acquired(), 1U);
  EXPECT_EQ(Shown("WWW.EXAMPLE.ORG."), "exact");
  EXPECT_EQ(Shown("other.example.org"), "wildcard");
  EXPECT_EQ(Shown("a.other.example.org"), "default");
  EXPECT_EQ(Shown("example.org"), "default");
  EXPECT_EQ(Shown(""), "default");
  EXPECT_EQ(Shown("../www.example.org"), "default");
  EXPECT_EQ(Shown(std::string("www.example.org\0", 16)), "default");
  EXPECT_EQ(Shown("_.example.org"), "default");
  EXPECT_EQ(failures_.acquired(), 3U);
}

TEST_F(CertificateFolderTest, WithoutADefaultOtherNamesAreRefused) {
  Put("a.example", "cn-exact");
  Open();
  EXPECT_EQ(Shown("b.example"), "SEC_E_TARGET_UNKNOWN");
  EXPECT_EQ(Shown(""), "SEC_E_NO_CREDENTIALS");
  EXPECT_EQ(failures_.last(), "");
  Put("b.example", "cn-second");
  Later(1);
  EXPECT_EQ(Shown("b.example"), "second");
}

TEST_F(CertificateFolderTest, StrictNamesGetNoDefault) {
  Put("default", "cn-default");
  Open({.strict = true});
  EXPECT_EQ(Shown("b.example"), "SEC_E_TARGET_UNKNOWN");
  EXPECT_EQ(Shown(""), "default");
}

TEST_F(CertificateFolderTest, ManyThreadsGetOneAcquisition) {
  Put("a.example", "cn-exact");
  Open();
  constexpr int kThreads = 8;
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 50; ++j) good += Take("a.example").credential != nullptr ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, kThreads * 50);
  EXPECT_EQ(failures_.acquired(), 1U);
}

TEST_F(CertificateFolderTest, AChangedFileIsTakenAtTheNextUse) {
  Put("a.example", "cn-first");
  Open();
  EXPECT_EQ(Shown("a.example"), "first");
  EXPECT_EQ(Shown("a.example"), "first");
  EXPECT_EQ(failures_.acquired(), 1U);
  Put("a.example", "cn-second");
  EXPECT_EQ(Shown("a.example"), "second");
  EXPECT_EQ(failures_.acquired(), 2U);
}

TEST_F(CertificateFolderTest, TheSameInodeWithOtherTimesIsAChange) {
  Put("a.example", "cn-first");
  Open();
  EXPECT_EQ(Shown("a.example"), "first");
  const timespec times[2] = {{.tv_sec = 1, .tv_nsec = 0}, {.tv_sec = 1, .tv_nsec = 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, folder_.File("a.example.key").c_str(), times, 0), 0);
  EXPECT_EQ(Shown("a.example"), "first");
  EXPECT_EQ(failures_.acquired(), 2U);
}

TEST_F(CertificateFolderTest, HalfAChangeLeavesTheOldOne) {
  Put("a.example", "cn-first");
  Open();
  EXPECT_EQ(Shown("a.example"), "first");
  const test::IssuedCertificate next = root_.Leaf("cn-second");
  Replace("a.example.crt", next.Pem());
  EXPECT_EQ(Shown("a.example"), "first");
  EXPECT_NE(failures_.last().find("a.example.crt: "), std::string::npos) << failures_.last();
  Replace("a.example.key", next.KeyPem());
  Later(1);
  EXPECT_EQ(Shown("a.example"), "second");
}

TEST_F(CertificateFolderTest, AFailureIsTriedAgainLater) {
  Put("a.example", "cn-exact");
  const std::string key = folder_.File("a.example.key");
  const std::string away = folder_.File("away");
  std::filesystem::rename(key, away);
  Open();
  EXPECT_EQ(Shown("a.example"), "SEC_E_UNKNOWN_CREDENTIALS");
  EXPECT_EQ(failures_.last(),
            "a.example.key: there is no such file; put the private key of a.example.crt there");
  std::filesystem::rename(away, key);
  EXPECT_EQ(Shown("a.example"), "SEC_E_UNKNOWN_CREDENTIALS");
  Later(1);
  EXPECT_EQ(Shown("a.example"), "exact");
}

TEST_F(CertificateFolderTest, SaysWhatIsWrongWithAFile) {
  Open();
  folder_.Write("a.crt", "no PEM");
  folder_.Write("a.key", "no PEM");
  EXPECT_EQ(Shown("a"), "SEC_E_UNKNOWN_CREDENTIALS");
  EXPECT_NE(failures_.last().find("must be PEM"), std::string::npos) << failures_.last();
  std::filesystem::create_directory(folder_.File("b.crt"));
  folder_.Write("b.key", "");
  EXPECT_EQ(Shown("b"), "SEC_E_UNKNOWN_CREDENTIALS");
  EXPECT_EQ(failures_.last(), "b.crt: it is not a regular file");
  ASSERT_EQ(mkfifo(folder_.File("c.crt").c_str(), 0600), 0);
  folder_.Write("c.key", "");
  EXPECT_EQ(Shown("c"), "SEC_E_UNKNOWN_CREDENTIALS");
  EXPECT_EQ(failures_.last(), "c.crt: it is not a regular file");
  folder_.Write("d.crt", std::string((1 << 20) + 1, 'x'));
  folder_.Write("d.key", "");
  EXPECT_EQ(Shown("d"), "SEC_E_UNKNOWN_CREDENTIALS");
  EXPECT_EQ(failures_.last(), "d.crt: it has more than 1 MiB");
  Put("e", "cn-exact", {.from_s = -7200, .until_s = -3600});
  EXPECT_EQ(Shown("e"), "SEC_E_CERT_EXPIRED");
  EXPECT_NE(failures_.last().find("has expired"), std::string::npos) << failures_.last();
}

TEST_F(CertificateFolderTest, UnreadableFilesHaveARemedy) {
  if (geteuid() == 0) GTEST_SKIP() << "root reads everything";
  Put("a", "cn-exact");
  ASSERT_EQ(chmod(folder_.File("a.key").c_str(), 0), 0);
  Open();
  EXPECT_EQ(Shown("a"), "SEC_E_UNKNOWN_CREDENTIALS");
  EXPECT_NE(failures_.last().find("let the user that runs the server read it"), std::string::npos)
      << failures_.last();
}

TEST_F(CertificateFolderTest, LinksOutOfTheFolderAreRefused) {
  const test::TemporaryFolder outside;
  const test::IssuedCertificate leaf = root_.Leaf("cn-exact");
  outside.Write("a.crt", leaf.Pem());
  outside.Write("a.key", leaf.KeyPem());
  Put("default", "cn-default");
  for (const char* name : {"a.crt", "a.key"}) {
    std::filesystem::create_symlink(outside.File(name), folder_.File(name));
  }
  Put("b", "cn-exact");
  std::filesystem::remove(folder_.File("b.key"));
  const auto relative =
      "../" + std::filesystem::path(outside.path()).filename().string() + "/a.key";
  std::filesystem::create_symlink(relative, folder_.File("b.key"));
  Open();
  EXPECT_EQ(Shown("a"), "SEC_E_UNKNOWN_CREDENTIALS");
  EXPECT_NE(failures_.last().find("a.crt: a link leads out of the folder"), std::string::npos)
      << failures_.last();
  EXPECT_EQ(Shown("b"), "SEC_E_UNKNOWN_CREDENTIALS");
  EXPECT_NE(failures_.last().find("b.key: a link leads out of the folder"), std::string::npos)
      << failures_.last();
}

TEST_F(CertificateFolderTest, LinksInsideTheFolderAreFollowed) {
  Put("real", "cn-exact");
  std::filesystem::create_symlink("real.crt", folder_.File("a.crt"));
  std::filesystem::create_symlink("real.key", folder_.File("a.key"));
  Open();
  EXPECT_EQ(Shown("a"), "exact");
}

TEST_F(CertificateFolderTest, HandlesAreBoundedAndAged) {
  for (const char* stem : {"a", "b", "c"}) Put(stem, "cn-exact");
  Open({.kept_max = 2, .kept_ns = 60 * kNsPerSecond});
  for (const char* stem : {"a", "b", "c"}) EXPECT_NE(Take(stem).credential, nullptr);
  const auto handles = [] {
    KtlsimStatistics statistics{};
    statistics.cbSize = sizeof(statistics);
    EXPECT_EQ(KtlsimQueryStatistics(&statistics), SEC_E_OK);
    return statistics.cCredentials;
  };
  // Freed asynchronously.
  const auto until_left = [&](ULONGLONG left) {
    const auto end = std::chrono::steady_clock::now() + test::kHangLimit;
    while (handles() > left && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    return handles();
  };
  EXPECT_EQ(until_left(2), 2U);
  EXPECT_EQ(certificates_->counts().kept, 2U);
  Later(60);
  EXPECT_EQ(certificates_->FreeUnused(), 0U);
  EXPECT_EQ(until_left(0), 0U);
}

TEST_F(CertificateFolderTest, RandomNamesLeaveNoMoreThanTheBound) {
  Put("default", "cn-default");
  Open({.refused_max = 100});
  for (int i = 0; i < 20000; ++i) {
    ASSERT_NE(Take("r" + std::to_string(i) + ".example").credential, nullptr);
  }
  EXPECT_LE(certificates_->counts().refused, 100U);
  EXPECT_EQ(failures_.acquired(), 1U);
}

TEST_F(CertificateFolderTest, AllAreAcquiredAtTheStart) {
  Put("model", "cn-exact");
  for (int i = 0; i < 500; ++i) {
    const std::string stem = "n" + std::to_string(i);
    std::filesystem::create_hard_link(folder_.File("model.crt"), folder_.File(stem + ".crt"));
    std::filesystem::create_hard_link(folder_.File("model.key"), folder_.File(stem + ".key"));
  }
  Open({.kept_max = 0, .kept_ns = 0});
  EXPECT_TRUE(certificates_->AcquireAll().empty());
  EXPECT_EQ(certificates_->counts().kept, 501U);
  const std::uint64_t loads = certificates_->counts().events.loads;
  EXPECT_EQ(Shown("n17"), "exact");
  EXPECT_EQ(certificates_->counts().events.loads, loads);
}

TEST_F(CertificateFolderTest, AStartNamesEveryFileThatCannotBeUsed) {
  Put("good", "cn-exact");
  Put("late", "cn-exact", {.from_s = -7200, .until_s = -3600});
  folder_.Write("lone.crt", "");
  Open();
  std::vector<CertificateFolder::Failure> failures = certificates_->AcquireAll();
  std::ranges::sort(failures, {}, &CertificateFolder::Failure::text);
  ASSERT_EQ(failures.size(), 2U);
  EXPECT_TRUE(failures[0].text.starts_with("late.crt: ")) << failures[0].text;
  EXPECT_EQ(failures[0].status, SEC_E_CERT_EXPIRED);
  EXPECT_TRUE(failures[1].text.starts_with("lone.key: ")) << failures[1].text;
  EXPECT_EQ(failures[1].status, SEC_E_UNKNOWN_CREDENTIALS);
  EXPECT_EQ(failures_.last(), "");
}

TEST_F(CertificateFolderTest, ALookThroughTheNamesFindsWhatIsMissing) {
  Put("a.example", "cn-exact");
  folder_.Write("b.example.crt", "");
  folder_.Write("WWW.example.crt", "");
  folder_.Write("WWW.example.key", "");
  folder_.Write("notes.txt", "");
  Open();
  const Result<CertificateFolder::Findings> findings = certificates_->LookThrough();
  ASSERT_TRUE(findings.ok());
  EXPECT_EQ(findings.value().certificates, 3U);
  ASSERT_EQ(findings.value().warnings.size(), 3U);
  EXPECT_TRUE(findings.value().warnings[0].starts_with("WWW.example.crt: no client's name"));
  EXPECT_EQ(findings.value().warnings[1],
            "b.example.key: there is no such file; put the private key of b.example.crt there");
  EXPECT_TRUE(findings.value().warnings[2].starts_with("there is no default.crt"));
}

TEST_F(CertificateFolderTest, WhatElseACredentialNeedsIsSetOnIt) {
  Put("a", "cn-exact");
  Put("b", "cn-exact");
  CertificateFolderOptions options;
  options.path = folder_.path();
  options.watcher = &failures_;
  std::atomic<int> completed{0};
  options.complete = [&completed](const CredHandle& credential) {
    KtlsimCred_Tickets tickets{2};
    CredHandle handle = credential;
    EXPECT_EQ(SetCredentialsAttributesA(&handle, KTLSIM_ATTR_TICKETS, &tickets, sizeof(tickets)),
              SEC_E_OK);
    return ++completed == 1 ? std::string() : "the second is refused";
  };
  auto opened = CertificateFolder::Open(std::move(options));
  ASSERT_TRUE(opened.ok());
  certificates_ = std::move(*opened);
  EXPECT_EQ(Shown("a"), "exact");
  EXPECT_EQ(Shown("b"), "SEC_E_UNKNOWN_CREDENTIALS");
  EXPECT_EQ(failures_.last(), "b.crt: the second is refused");
}

// It waits for what is under way, and for nothing else.
TEST_F(CertificateFolderTest, TheEndWaitsForLoads) {
  Put("a", "cn-exact");
  for (int i = 0; i < 50; ++i) {
    Open();
    FolderWaiter waiter;
    const CertificateFolder::When when = certificates_->Take("a", waiter);
    if (when == CertificateFolder::When::kLater && !certificates_->Withdraw(waiter)) {
      EXPECT_TRUE(waiter.Wait());
    }
    certificates_.reset();
  }
}

}  // namespace
}  // namespace ktlsim::serve
