// Memory that runs out: when a trail is opened, while records are made, and while they are written.
#include <unistd.h>

#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "kernel_sim/audit/audit_trail.h"
#include "kernel_sim/audit/verify_files.h"
#include "tests/audit/audit_test_support.h"
#include "tests/support/allocation_faults.h"

namespace ktlsim::audit {
namespace {

using ktlsim::test::AllocationFaults;
using ktlsim::test::FaultExtent;

TEST(AuditMemoryTest, ARecordWithShortNamesAllocatesNothing) {
  test::TrailScene scene;
  scene.options.linger_ns = 60'000'000'000;  // the writer sleeps meanwhile
  const std::unique_ptr<AuditTrail> trail = scene.Open();
  const std::string name(100, 'x');
  Taken taken = Taken::kRefused;
  const std::unique_ptr<RecordQueue> queue = RecordQueue::Create(4);
  bool pushed = false;
  AllocationFaults::Prepare(AllocationFaults::kNever, FaultExtent::kOne);
  {
    const AllocationFaults::Scope scope;
    pushed = queue->Push({.client_name = name, .subsystem = name, .object = name}, 1);
  }
  EXPECT_EQ(AllocationFaults::Counted(), 0U);
  EXPECT_TRUE(pushed);
  taken = trail->Write({.subsystem = name, .object = name});
  EXPECT_EQ(taken, Taken::kQueued);
}

TEST(AuditMemoryTest, ALongNameWithoutMemoryFollowsThePolicy) {
  const std::string name(2000, 'x');
  const std::unique_ptr<RecordQueue> queue = RecordQueue::Create(4);
  bool pushed = true;
  AllocationFaults::Prepare(0, FaultExtent::kOne);
  {
    const AllocationFaults::Scope scope;
    pushed = queue->Push({.object = name}, 1);
  }
  EXPECT_FALSE(pushed);
  EXPECT_EQ(queue->Front(), nullptr) << "no place was taken";
}

// Each allocation of opening fails once, the writer's thread included; then it opens.
TEST(AuditMemoryTest, OpeningWithoutMemoryIsAStatusAndCanBeRepeated) {
  bool fired = true;
  for (std::uint64_t n = 0; fired; ++n) {
    test::TrailScene scene;
    scene.options.sync = SyncPolicy::kNever;
    bool opened = false;
    AllocationFaults::Prepare(n, FaultExtent::kOne);
    {
      const AllocationFaults::Scope scope;
      Result<std::unique_ptr<AuditTrail>> trail = AuditTrail::Open(scene.options);
      opened = trail.ok();
      if (opened) static_cast<void>((*trail)->Write({.object = "x"}));
    }
    fired = AllocationFaults::Fired();
    ASSERT_TRUE(opened || fired) << n;
    // Whatever is there can be opened, and is good.
    const std::unique_ptr<AuditTrail> again = scene.Open();
    ASSERT_NE(again, nullptr) << n << " at " << AllocationFaults::Where();
    ASSERT_TRUE(again->Close().ok());
    ASSERT_TRUE(scene.Verify().ok()) << n << ": " << test::TextOf(scene.Verify());
    ASSERT_LT(n, 2000U);
  }
}

// While the writer writes, each of its allocations fails once: records are written all the same.
TEST(AuditMemoryTest, WritingGoesOnWithoutMemory) {
  test::TrailScene scene;
  scene.options.sync = SyncPolicy::kNever;
  const std::unique_ptr<AuditTrail> trail = scene.Open();
  const std::string name(50, 'x');
  bool fired = true;
  std::uint64_t records = 0;
  for (std::uint64_t n = 0; fired && n < 200; ++n) {
    AllocationFaults::Prepare(n, FaultExtent::kOne);
    {
      const AllocationFaults::Scope scope;
      while (trail->Write({.subsystem = name, .object = name}) != Taken::kQueued) {
      }
      while (!trail->Flush().ok()) {
      }
    }
    ++records;
    fired = AllocationFaults::Fired();
  }
  ASSERT_TRUE(trail->Close().ok());
  const VerifyReport report = scene.Verify();
  EXPECT_TRUE(report.ok()) << test::TextOf(report);
  EXPECT_GE(report.genuine, records + 2);
}

TEST(AuditMemoryTest, ARotationNeedsNone) {
  test::TrailScene scene;
  const std::unique_ptr<AuditTrail> trail = scene.Open();
  const std::string log = scene.log();
  const std::string rotated = log + ".1";
  AllocationFaults::Prepare(0, FaultExtent::kFromThenOn);
  {
    const AllocationFaults::Scope scope;
    trail->Rotate();
    while (access(rotated.c_str(), F_OK) != 0 || access(log.c_str(), F_OK) != 0) {
      std::this_thread::yield();
    }
  }
  test::WriteObjects(*trail, 0, 1);
  ASSERT_TRUE(trail->Close().ok());
  EXPECT_EQ(trail->figures().failures, 0U);
  EXPECT_EQ(test::TextOf(scene.Verify({rotated, log})), "");
}

}  // namespace
}  // namespace ktlsim::audit
