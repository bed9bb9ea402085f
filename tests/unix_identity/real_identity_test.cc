// The kernel's own word: as whom threads and rings open files. Needs root.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <memory>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "io/uring.h"
#include "kernel_sim/base/passive_worker.h"
#include "kernel_sim/base/thread_identity.h"
#include "kernel_sim/unix_identity/identity_calls.h"
#include "kernel_sim/unix_identity/identity_switch.h"
#include "kernel_sim/unix_identity/real_impersonation.h"
#include "tests/support/temporary_folder.h"
#include "tests/unix_identity/scripted_calls.h"

namespace ktlsim::unix_identity {
namespace {

constexpr uid_t kAliceId = 40001;
constexpr uid_t kBobId = 40002;
constexpr gid_t kProjectId = 40010;

// 0, or the errno value of an attempt to read the file.
int TryToRead(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return errno;
  close(descriptor);
  return 0;
}

class RealIdentityTest : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "only root may act as other users";
    const std::string wrong = Begin();
    if (!wrong.empty()) GTEST_SKIP() << wrong;
    ASSERT_EQ(chmod(folder_.path().c_str(), 0755), 0);
    alices_ = Make("alice", kAliceId, kAliceId, 0600);
    bobs_ = Make("bob", kBobId, kBobId, 0600);
    projects_ = Make("project", kBobId, kProjectId, 0640);
    own_ = Make("own", 0, 0, 0600);
  }
  ~RealIdentityTest() override {
    ThreadIdentity::Exchange(nullptr);
    End();
  }

  std::string Make(const char* name, uid_t uid, gid_t gid, mode_t mode) const {
    std::string path = folder_.Write(name, name);
    EXPECT_EQ(chown(path.c_str(), uid, gid), 0);
    EXPECT_EQ(chmod(path.c_str(), mode), 0);
    return path;
  }

  const test::TemporaryFolder folder_;
  std::string alices_, bobs_, projects_, own_;
  const IdentityRef alice_ = std::make_shared<ClientIdentity>(
      UnixIdentity{.uid = kAliceId, .gid = kAliceId, .groups = {kProjectId}});
  const IdentityRef bob_ =
      std::make_shared<ClientIdentity>(UnixIdentity{.uid = kBobId, .gid = kBobId, .groups = {}});
};

TEST_F(RealIdentityTest, TheThreadOpensAsTheClientAndNoOtherThreadDoes) {
  std::atomic<int> turn = 0;
  int beside = -1;
  std::thread other([&] {
    turn.wait(0);
    beside = TryToRead(own_);
    turn = 2;
    turn.notify_one();
  });
  ASSERT_EQ(ThreadIdentity::Assume(alice_), 0);
  EXPECT_EQ(TryToRead(alices_), 0);
  EXPECT_EQ(TryToRead(projects_), 0);
  EXPECT_EQ(TryToRead(bobs_), EACCES);
  EXPECT_EQ(TryToRead(own_), EACCES);
  turn = 1;
  turn.notify_one();
  turn.wait(1);
  EXPECT_EQ(beside, 0);
  ASSERT_EQ(ThreadIdentity::Assume(bob_), 0);
  EXPECT_EQ(TryToRead(alices_), EACCES);
  EXPECT_EQ(TryToRead(bobs_), 0);
  ThreadIdentity::Exchange(nullptr);
  EXPECT_EQ(TryToRead(own_), 0);
  EXPECT_EQ(TryToRead(alices_), 0);  // the superuser's capabilities are back
  other.join();
}

TEST_F(RealIdentityTest, NobodyOpensWhatEverybodyMay) {
  const auto nobody = std::make_shared<ClientIdentity>(UnixIdentity::Nobody());
  const std::string open_to_all = Make("public", 0, 0, 0644);
  ASSERT_EQ(ThreadIdentity::Assume(nobody), 0);
  EXPECT_EQ(TryToRead(open_to_all), 0);
  EXPECT_EQ(TryToRead(alices_), EACCES);
  EXPECT_EQ(TryToRead(projects_), EACCES);
  EXPECT_EQ(TryToRead(own_), EACCES);
}

TEST_F(RealIdentityTest, AClientCannotSignalTheProcess) {
  ASSERT_EQ(ThreadIdentity::Assume(alice_), 0);
  ThreadCredentials now;
  ASSERT_EQ(LinuxCalls().Read(&now), 0);
  EXPECT_EQ(now.user, (UserIds{.real = 0, .effective = kAliceId, .saved = 0, .file = kAliceId}));
  EXPECT_EQ(now.group, (GroupIds{.real = 0, .effective = kAliceId, .saved = 0, .file = kAliceId}));
  EXPECT_EQ(now.capabilities.effective, 0U);
}

// On a thread that has them, as a service with ambient capabilities does.
TEST_F(RealIdentityTest, ProgramsInheritNoCapabilityMeanwhile) {
  std::thread service([] {
    ThreadCredentials before;
    ASSERT_EQ(LinuxCalls().Read(&before), 0);
    before.capabilities.inheritable = before.capabilities.ambient = kSetGid | kSetUid;
    ASSERT_EQ(LinuxCalls().SetCapabilities(before.capabilities), 0);
    IdentitySwitch own(LinuxCalls());
    ASSERT_EQ(own.Prepare(), "");
    ThreadCredentials now;
    ASSERT_EQ(LinuxCalls().Read(&now), 0);
    EXPECT_TRUE(now == before);
    ASSERT_EQ(own.Take({.uid = kAliceId, .gid = kAliceId, .groups = {kProjectId}}), 0);
    ASSERT_EQ(LinuxCalls().Read(&now), 0);
    EXPECT_EQ(now.capabilities.inheritable, 0U);
    EXPECT_EQ(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 7, 0, 0), 0);  // CAP_SETUID
    own.Return();
    EXPECT_EQ(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 7, 0, 0), 1);
    ASSERT_EQ(LinuxCalls().Read(&now), 0);
    EXPECT_TRUE(now == before);
  });
  service.join();
}

// The worker's thread is started by one that acts as the client, and serves the process next.
TEST_F(RealIdentityTest, AHelperThreadIsWhoeverAsked) {
  struct Item : WorkItem {
    Item(const std::string& alices_file, const std::string& own_file)
        : WorkItem([](WorkItem& item) {
            auto& self = static_cast<Item&>(item);
            self.alice = TryToRead(self.alices);
            self.own = TryToRead(self.owns);
            self.done = true;
            self.done.notify_one();
          }),
          alices(alices_file),
          owns(own_file) {}
    const std::string& alices;
    const std::string& owns;
    int alice = -1;
    int own = -1;
    std::atomic<bool> done = false;
    WorkItem refused{[](WorkItem& /*item*/) { ADD_FAILURE(); }};
  };
  PassiveWorker workers;
  Item as_alice(alices_, own_);
  Item as_bob(alices_, own_);
  Item as_process(alices_, own_);
  ASSERT_EQ(ThreadIdentity::Assume(alice_), 0);
  ASSERT_TRUE(workers.RunAsCaller(as_alice, as_alice.refused));
  EXPECT_EQ(TryToRead(own_), EACCES);  // to start a thread has not changed this one
  ASSERT_TRUE(workers.Run(as_process));
  ASSERT_EQ(ThreadIdentity::Assume(bob_), 0);
  ASSERT_TRUE(workers.RunAsCaller(as_bob, as_bob.refused));
  for (Item* item : {&as_alice, &as_bob, &as_process}) item->done.wait(false);
  EXPECT_EQ(as_alice.alice, 0);
  EXPECT_EQ(as_alice.own, EACCES);
  EXPECT_EQ(as_bob.alice, EACCES);
  EXPECT_EQ(as_process.own, 0);
}

// ---- On a ring

class Opening final : public io::OpenOperation {
 public:
  void OnOpened(Result<int> descriptor) override {
    done = true;
    outcome = descriptor.ok() ? 0 : descriptor.status().code();
    category = descriptor.status().category();
    if (descriptor.ok()) close(*descriptor);
  }
  bool done = false;
  int outcome = -1;
  Category category{};
};

class RealRingTest : public RealIdentityTest {
 protected:
  void SetUp() override {
    RealIdentityTest::SetUp();
    if (IsSkipped()) return;
    Result<std::unique_ptr<io::Ring>> made = io::CreateUring({});
    ASSERT_TRUE(made.ok());
    ring_ = std::move(*made);
    root_ = open(folder_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ASSERT_GE(root_, 0);
  }
  ~RealRingTest() override { close(root_); }

  void Start(Opening& opening, const char* path, const IdentityRef& as) {
    opening.done = false;
    ring_->StartOpen(
        opening,
        {.folder = root_, .path = path, .flags = O_RDONLY | O_CLOEXEC, .resolve = RESOLVE_BENEATH},
        *as->unix_identity());
  }
  int Open(const char* path, const IdentityRef& as) {
    Opening opening;
    Start(opening, path, as);
    while (!opening.done) ring_->Turn(io::kWaitForever);
    return opening.outcome;
  }

  std::unique_ptr<io::Ring> ring_;
  int root_ = -1;
};

TEST_F(RealRingTest, AnOperationHasItsClientsRights) {
  EXPECT_EQ(Open("alice", alice_), 0);
  EXPECT_EQ(Open("alice", bob_), EACCES);
  EXPECT_EQ(Open("project", alice_), 0);
  EXPECT_EQ(Open("own", alice_), EACCES);
  EXPECT_EQ(Open("none", alice_), ENOENT);
  EXPECT_EQ(Open("../x", alice_), EXDEV);
  EXPECT_EQ(TryToRead(own_), 0);
  ThreadCredentials now;
  ASSERT_EQ(LinuxCalls().Read(&now), 0);
  EXPECT_EQ(now.user, UserIds());
}

TEST_F(RealRingTest, ManyAtOnceOfTwoUsersDoNotMix) {
  std::array<Opening, 400> openings;
  for (std::size_t i = 0; i < openings.size(); ++i) {
    Start(openings[i], i % 4 < 2 ? "alice" : "bob", i % 2 == 0 ? alice_ : bob_);
  }
  for (Opening& one : openings) {
    while (!one.done) ring_->Turn(io::kWaitForever);
  }
  for (std::size_t i = 0; i < openings.size(); ++i) {
    const bool own_file = (i % 4 < 2) == (i % 2 == 0);
    EXPECT_EQ(openings[i].outcome, own_file ? 0 : EACCES) << i;
  }
}

TEST_F(RealRingTest, NothingIsTriedWithTheServersRights) {
  End();
  Opening opening;
  Start(opening, "own", alice_);
  while (!opening.done) ring_->Turn(io::kWaitForever);
  EXPECT_EQ(opening.category, Category::kResource);
}

TEST_F(RealRingTest, ACancelledOneEndsOnce) {
  for (int i = 0; i < 20; ++i) {
    Opening opening;
    Start(opening, "alice", alice_);
    if (i % 2 == 0) ring_->Turn(0);
    ring_->Cancel(opening);
    while (!opening.done) ring_->Turn(io::kWaitForever);
    EXPECT_TRUE(opening.outcome == 0 || opening.outcome == ECANCELED) << opening.outcome;
  }
}

}  // namespace
}  // namespace ktlsim::unix_identity
