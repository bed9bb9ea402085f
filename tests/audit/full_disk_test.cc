// Disks that are full, fail, and come back.
#include <atomic>
#include <cerrno>
#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/audit/audit_test_support.h"

namespace ktlsim::audit {
namespace {

using test::TextOf;

// Writes as much as there is room for, and counts calls.
class SmallDisk final : public FileCalls {
 public:
  ssize_t Write(int file, const char* bytes, std::size_t count, off_t offset) override {
    if (!full) return FileCalls::Write(file, bytes, count, offset);
    errno = ENOSPC;
    // A part fits, and then nothing more.
    if (count > 10 && part.exchange(false)) return FileCalls::Write(file, bytes, 10, offset);
    return -1;
  }
  int Sync(int file) override {
    if (sync_failures.load() > 0 && sync_failures.fetch_sub(1) > 0) {
      errno = EIO;
      return -1;
    }
    return FileCalls::Sync(file);
  }

  int Make(const char* path, int flags, mode_t mode) override {
    if (make_failures.load() > 0 && make_failures.fetch_sub(1) > 0) {
      errno = ENOSPC;
      return -1;
    }
    return FileCalls::Make(path, flags, mode);
  }
  int SyncFolder(int folder) override {
    if (folder_failures.load() > 0 && folder_failures.fetch_sub(1) > 0) {
      errno = EIO;
      return -1;
    }
    return FileCalls::SyncFolder(folder);
  }

  std::atomic<int> make_failures{0};
  std::atomic<int> folder_failures{0};
  std::atomic<bool> full{false};
  std::atomic<bool> part{false};
  std::atomic<int> sync_failures{0};
};

class FullDiskTest : public testing::Test {
 protected:
  FullDiskTest() { scene_.options.calls = &disk_; }

  // Until the trail has noticed.
  void Fill(AuditTrail& trail) {
    disk_.part = true;
    disk_.full = true;
    ASSERT_EQ(trail.Write({.subsystem = "test", .object = "the first"}), Taken::kQueued);
    const Status status = trail.Flush();
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.code(), ENOSPC);
    while (trail.figures().state != TrailState::kFailing) std::this_thread::yield();
  }
  std::uint64_t Told(const std::string& event) const {
    std::uint64_t told = 0;
    for (const std::string& line : test::LinesOf(test::ContentOf(scene_.log()))) {
      const nlohmann::json record = nlohmann::json::parse(line);
      if (record["event"] == event) told += record["count"].get<std::uint64_t>();
    }
    return told;
  }
  // Until the trail has written what it had.
  static void Recover(AuditTrail& trail) {
    while (trail.figures().state == TrailState::kFailing) std::this_thread::yield();
    // The queue may still be full.
    ASSERT_TRUE(trail.Flush().ok());
  }

  SmallDisk disk_;
  test::TrailScene scene_;
};

TEST_F(FullDiskTest, AccessesAreRefusedUntilThereIsRoom) {
  const std::unique_ptr<AuditTrail> trail = scene_.Open();
  test::WriteObjects(*trail, 0, 2);
  Fill(*trail);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(trail->Write({.object = "x"}), Taken::kRefused);
  disk_.full = false;
  Recover(*trail);
  test::WriteObjects(*trail, 2, 1);
  ASSERT_TRUE(trail->Close().ok());
  EXPECT_EQ(TextOf(scene_.Verify()), "");
  EXPECT_EQ(Told("refused"), 5U);
  EXPECT_NE(test::ContentOf(scene_.log()).find("the first"), std::string::npos);
}

TEST_F(FullDiskTest, WhatIsLostIsCounted) {
  scene_.options.when_full = FullPolicy::kCount;
  scene_.options.queue_depth = 4;
  const std::unique_ptr<AuditTrail> trail = scene_.Open();
  Fill(*trail);
  std::uint64_t counted = 0;
  for (int i = 0; i < 10; ++i) {
    if (trail->Write({.object = "x"}) == Taken::kCounted) ++counted;
  }
  EXPECT_GE(counted, 6U);
  disk_.full = false;
  Recover(*trail);
  test::WriteObjects(*trail, 2, 1);
  ASSERT_TRUE(trail->Close().ok());
  EXPECT_EQ(TextOf(scene_.Verify()), "");
  EXPECT_EQ(Told("lost"), counted);
  EXPECT_EQ(trail->figures().lost, counted);
}

TEST_F(FullDiskTest, ClosingAFullDiskTellsAndLeavesATrailThatCanBeContinued) {
  {
    const std::unique_ptr<AuditTrail> trail = scene_.Open();
    test::WriteObjects(*trail, 0, 2);
    Fill(*trail);
    const Status closed = trail->Close();
    EXPECT_EQ(closed.code(), ENOSPC);
    EXPECT_FALSE(trail->Flush().ok());
  }
  const VerifyReport report = scene_.Verify();
  EXPECT_TRUE(report.ok()) << TextOf(report);
  EXPECT_FALSE(report.closed);
  disk_.full = false;
  const std::unique_ptr<AuditTrail> trail = scene_.Open();
  ASSERT_NE(trail, nullptr);
  ASSERT_TRUE(trail->Close().ok());
  EXPECT_EQ(TextOf(scene_.Verify()), "");
}

TEST_F(FullDiskTest, AFailedSyncIsWrittenAgain) {
  const std::unique_ptr<AuditTrail> trail = scene_.Open();
  // The log's, then the first and the second copy's of the head.
  for (int failures = 1; failures <= 4; ++failures) {
    disk_.sync_failures = failures;
    ASSERT_EQ(trail->Write({.subsystem = "test", .object = "x"}), Taken::kQueued);
    while (!trail->Flush().ok()) {
    }
    Recover(*trail);
    const VerifyReport report = scene_.Verify();
    EXPECT_TRUE(report.ok()) << failures << ": " << TextOf(report);
  }
  ASSERT_TRUE(trail->Close().ok());
  EXPECT_EQ(scene_.Verify().genuine, 6U);
}

// The file is renamed, and then the new one cannot be made, or the folder not be written: once, and
// again when the next records are written.
TEST_F(FullDiskTest, ARotationThatFailsOnItsWayGoesOnInTheNewFile) {
  for (int failures = 1; failures <= 3; ++failures) {
    for (const bool make : {true, false}) {
      test::TrailScene scene;
      SmallDisk disk;
      scene.options.calls = &disk;
      const std::unique_ptr<AuditTrail> trail = scene.Open();
      test::WriteObjects(*trail, 0, 2);
      (make ? disk.make_failures : disk.folder_failures) = failures;
      trail->Rotate();
      while (trail->figures().failures == 0) std::this_thread::yield();
      ASSERT_EQ(trail->Write({.subsystem = "test", .object = "behind"}), Taken::kQueued);
      while (!trail->Flush().ok()) {
      }
      Recover(*trail);
      ASSERT_TRUE(trail->Close().ok());
      EXPECT_EQ(TextOf(scene.Verify({scene.log() + ".1", scene.log()})), "")
          << failures << (make ? " without the file" : " without the folder");
      EXPECT_EQ(test::ContentOf(scene.log()).find("{\"seq\":3,"), 0U);
    }
  }
}

TEST_F(FullDiskTest, AFullDiskAtTheStartIsAStatus) {
  disk_.full = true;
  EXPECT_NE(scene_.Refusal().find("No space left"), std::string::npos);
  disk_.full = false;
  const std::unique_ptr<AuditTrail> trail = scene_.Open();
  ASSERT_NE(trail, nullptr);
  ASSERT_TRUE(trail->Close().ok());
  EXPECT_EQ(TextOf(scene_.Verify()), "");
}

}  // namespace
}  // namespace ktlsim::audit
