// A writer that is started again: in order, after a crash at any point, and where the files do not
// belong together.
#include <filesystem>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "kernel_sim/audit/log_file.h"
#include "tests/audit/audit_test_support.h"

namespace ktlsim::audit {
namespace {

using nlohmann::json;
using test::ContentOf;
using test::LinesOf;
using test::Overwrite;
using test::TextOf;

class RestartTest : public testing::Test {
 protected:
  void WriteAndClose(int first, int count) {
    const std::unique_ptr<AuditTrail> trail = scene_.Open();
    ASSERT_NE(trail, nullptr);
    test::WriteObjects(*trail, first, count);
    ASSERT_TRUE(trail->Close().ok());
  }
  json Line(std::size_t index) const {
    return json::parse(LinesOf(ContentOf(scene_.log()))[index]);
  }

  test::TrailScene scene_;
};

TEST_F(RestartTest, GoesOnWithoutTheFirstKey) {
  WriteAndClose(0, 2);
  scene_.options.secret = {};
  WriteAndClose(2, 2);
  scene_.options.secret = test::SecretBytes(test::kSecretText);
  WriteAndClose(4, 1);
  const VerifyReport report = scene_.Verify();
  EXPECT_TRUE(report.ok()) << TextOf(report);
  EXPECT_EQ(report.genuine, 4U + 4 + 3);
  EXPECT_EQ(Line(4)["event"], "resume");
  EXPECT_EQ(Line(4)["unsealed"], 0);
}

TEST_F(RestartTest, ANewTrailNeedsAKeyThatIsLongEnough) {
  scene_.options.secret = {};
  EXPECT_NE(scene_.Refusal().find("needs its audit key"), std::string::npos);
  scene_.options.secret = test::SecretBytes("short");
  EXPECT_NE(scene_.Refusal().find("32 to 4096"), std::string::npos);
  scene_.options.secret = test::SecretBytes(test::kSecretText);
  WriteAndClose(0, 1);
}

TEST_F(RestartTest, AnotherKeyIsRefused) {
  WriteAndClose(0, 1);
  scene_.options.secret = test::SecretBytes(test::kOtherSecretText);
  EXPECT_NE(scene_.Refusal().find("another audit key"), std::string::npos);
}

TEST_F(RestartTest, LinesBehindTheHeadAreTakenIn) {
  std::string older;
  {
    const std::unique_ptr<AuditTrail> trail = scene_.Open();
    test::WriteObjects(*trail, 0, 2);
    older = ContentOf(scene_.head());
    test::WriteObjects(*trail, 2, 3);
  }
  // As it was before the last lines and the end were sealed.
  std::vector<std::string> lines = LinesOf(ContentOf(scene_.log()));
  lines.pop_back();
  Overwrite(scene_.log(), test::Joined(lines) + "{\"seq\":6,\"ti");
  Overwrite(scene_.head(), older);
  const VerifyReport crashed = scene_.Verify();
  EXPECT_TRUE(crashed.ok()) << TextOf(crashed);
  EXPECT_EQ(crashed.unsealed, 3U);
  EXPECT_EQ(crashed.torn_bytes, 12U);
  WriteAndClose(5, 1);
  EXPECT_EQ(TextOf(scene_.Verify()), "");
  EXPECT_EQ(Line(6)["event"], "resume");
  EXPECT_EQ(Line(6)["unsealed"], 3);
  EXPECT_EQ(Line(6)["dropped_bytes"], 12);
}

TEST_F(RestartTest, ALineBehindTheHeadThatWasChangedIsNotTakenIn) {
  std::string older;
  {
    const std::unique_ptr<AuditTrail> trail = scene_.Open();
    test::WriteObjects(*trail, 0, 2);
    older = ContentOf(scene_.head());
    test::WriteObjects(*trail, 2, 2);
  }
  std::vector<std::string> lines = LinesOf(ContentOf(scene_.log()));
  lines.pop_back();
  lines[4].replace(lines[4].find("/object/3"), 9, "/object/7");
  const std::size_t changed = lines[4].size() + 1;
  Overwrite(scene_.log(), test::Joined(lines));
  Overwrite(scene_.head(), older);
  WriteAndClose(5, 1);
  EXPECT_EQ(TextOf(scene_.Verify()), "");
  EXPECT_EQ(Line(4)["event"], "resume");
  EXPECT_EQ(Line(4)["unsealed"], 1);
  EXPECT_EQ(Line(4)["dropped_bytes"], changed);
}

// It says that nothing may follow.
TEST_F(RestartTest, AClosedHeadThatWasPutBackIsFound) {
  WriteAndClose(0, 1);
  const std::string older = ContentOf(scene_.head());
  WriteAndClose(1, 1);
  Overwrite(scene_.head(), older);
  EXPECT_EQ(TextOf(scene_.Verify()), "head-behind 3-5 at 0");
}

// The log is cut at every length behind what the head covers: each is what a crash can leave.
TEST_F(RestartTest, ACrashAtAnyByteIsPutInOrder) {
  std::string older;
  std::string log;
  {
    scene_.options.sync = SyncPolicy::kNever;
    const std::unique_ptr<AuditTrail> trail = scene_.Open();
    test::WriteObjects(*trail, 0, 1);
    older = ContentOf(scene_.head());
    const std::size_t sealed = ContentOf(scene_.log()).size();
    test::WriteObjects(*trail, 1, 2);
    log = ContentOf(scene_.log()).substr(sealed);
  }
  const std::string begin = ContentOf(scene_.log()).substr(0, ContentOf(scene_.log()).find(log));
  for (std::size_t bytes = 0; bytes <= log.size(); ++bytes) {
    Overwrite(scene_.log(), begin + log.substr(0, bytes));
    Overwrite(scene_.head(), older);
    WriteAndClose(9, 1);
    const VerifyReport report = scene_.Verify();
    ASSERT_TRUE(report.ok()) << bytes << ": " << TextOf(report);
  }
}

TEST_F(RestartTest, ALogThatWasCutIsNotContinued) {
  WriteAndClose(0, 3);
  std::vector<std::string> lines = LinesOf(ContentOf(scene_.log()));
  const std::string whole = ContentOf(scene_.log());
  lines.pop_back();
  Overwrite(scene_.log(), test::Joined(lines));
  EXPECT_NE(scene_.Refusal().find("shorter"), std::string::npos);
  Overwrite(scene_.log(), whole.substr(0, whole.size() - 2) + "x\n");
  EXPECT_NE(scene_.Refusal().find("does not end as its head says"), std::string::npos);
  std::filesystem::remove(scene_.log());
  EXPECT_NE(scene_.Refusal().find("missing"), std::string::npos);
  Overwrite(scene_.log(), whole);
  WriteAndClose(3, 1);
  EXPECT_EQ(TextOf(scene_.Verify()), "");
}

TEST_F(RestartTest, ALogWithoutItsHeadIsNotContinued) {
  WriteAndClose(0, 1);
  std::filesystem::remove(scene_.head());
  EXPECT_NE(scene_.Refusal().find("no head of it"), std::string::npos);
  Overwrite(scene_.head(), std::string(kHeadBytes, 'x'));
  EXPECT_NE(scene_.Refusal().find("damaged"), std::string::npos);
}

TEST_F(RestartTest, AHeadThatIsMuchOlderIsRefused) {
  WriteAndClose(0, 1);
  std::string log = ContentOf(scene_.log());
  Overwrite(scene_.log(), log + std::string(kUnsealedBytesMax + 1, 'x'));
  EXPECT_NE(scene_.Refusal().find("the head is older"), std::string::npos);
}

TEST_F(RestartTest, ACrashBeforeTheFirstLineIsABeginning) {
  WriteAndClose(0, 1);
  std::filesystem::remove(scene_.log());
  // The head of a trail without lines.
  const std::unique_ptr<MacEngine> engine = MacEngine::Create();
  AuditHead head;
  ASSERT_TRUE(head.key.Derive(*engine, scene_.options.secret, head.log));
  ASSERT_TRUE(IdOfSecret(*engine, scene_.options.secret, &head.key_id));
  HeadCopy copy;
  ASSERT_TRUE(EncodeHead(*engine, head, &copy));
  for (const std::size_t bytes : {kHeadCopyBytes, 2 * kHeadCopyBytes, kHeadCopyBytes - 1}) {
    const std::string text(copy.data(), copy.size());
    Overwrite(scene_.head(), (text + text).substr(0, bytes));
    std::filesystem::remove(scene_.log());
    WriteAndClose(0, 1);
    EXPECT_EQ(TextOf(scene_.Verify()), "") << bytes;
    EXPECT_EQ(Line(0)["event"], "start");
  }
}

// Between the renaming of a full file and the first head of the next one.
TEST_F(RestartTest, ACrashWithinARotationIsPutInOrder) {
  WriteAndClose(0, 3);
  const std::string rotated = scene_.log() + ".1";
  std::filesystem::rename(scene_.log(), rotated);
  WriteAndClose(3, 2);
  EXPECT_EQ(TextOf(scene_.Verify({rotated, scene_.log()})), "");
  EXPECT_EQ(Line(0)["event"], "continue");
  EXPECT_EQ(Line(1)["event"], "resume");
}

TEST_F(RestartTest, ARotatedFileThatWasChangedIsNotContinued) {
  WriteAndClose(0, 3);
  const std::string rotated = scene_.log() + ".1";
  std::filesystem::rename(scene_.log(), rotated);
  Overwrite(rotated, ContentOf(rotated) + "x");
  EXPECT_NE(scene_.Refusal().find("not as long"), std::string::npos);
}

}  // namespace
}  // namespace ktlsim::audit
