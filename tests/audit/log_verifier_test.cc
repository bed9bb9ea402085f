// What can be done to a trail, and that each is found, named and placed.
#include "kernel_sim/audit/log_verifier.h"

#include <gtest/gtest.h>

#include "tests/audit/audit_test_support.h"
#include "tests/support/paths.h"

namespace ktlsim::audit {
namespace {

using test::Joined;
using test::LinesOf;
using test::TextOf;
using test::VerifyText;

// Lines 0 (start), 1 to 8 (objects), 9 (stop).
class LogVerifierTest : public testing::Test {
 protected:
  static const test::Made& Trail() {
    static const auto* const made = new test::Made(test::MakeTrail(8));
    return *made;
  }
  static const test::Made& Other() {
    static const auto* const made = new test::Made(test::MakeTrail(8));
    return *made;
  }

  std::string Found(const std::vector<std::string>& lines) const {
    return TextOf(VerifyText(Joined(lines), Trail().head));
  }

  std::vector<std::string> lines_ = LinesOf(Trail().log);
};

TEST_F(LogVerifierTest, AnUntouchedTrailIsGood) {
  const VerifyReport report = VerifyText(Trail().log, Trail().head);
  EXPECT_TRUE(report.ok()) << TextOf(report);
  EXPECT_EQ(report.genuine, 10U);
  EXPECT_EQ(report.first, 0U);
  EXPECT_EQ(report.last, 9U);
  EXPECT_EQ(report.head, 10U);
  EXPECT_TRUE(report.closed);
  EXPECT_EQ(report.unsealed, 0U);
}

TEST_F(LogVerifierTest, FindsAnAlteredLine) {
  lines_[3].replace(lines_[3].find("/object/2"), 9, "/object/7");
  EXPECT_EQ(Found(lines_), "altered 3-3 at 4");
  lines_[6][40] = '#';
  EXPECT_EQ(Found(lines_), "altered 3-3 at 4, altered 6-6 at 7");
}

TEST_F(LogVerifierTest, FindsALineThatClaimsAnotherNumber) {
  lines_[3].replace(0, 8, "{\"seq\":5");
  EXPECT_EQ(Found(lines_), "altered 3-3 at 4");
  lines_[3].replace(0, 8, "{\"seq\":999999999999");
  EXPECT_EQ(Found(lines_), "altered 3-3 at 4");
}

TEST_F(LogVerifierTest, FindsRemovedLines) {
  lines_.erase(lines_.begin() + 3, lines_.begin() + 6);
  EXPECT_EQ(Found(lines_), "removed 3-5 at 4");
  lines_.erase(lines_.begin());
  EXPECT_EQ(Found(lines_), "removed 0-0 at 1, removed 3-5 at 3");
}

TEST_F(LogVerifierTest, FindsReorderedLines) {
  std::swap(lines_[3], lines_[4]);
  EXPECT_EQ(Found(lines_), "reordered 3-3 at 5");
  const std::string moved = lines_[1];
  lines_.erase(lines_.begin() + 1);
  lines_.push_back(moved);
  EXPECT_EQ(Found(lines_), "reordered 3-3 at 4, reordered 1-1 at 10");
}

TEST_F(LogVerifierTest, FindsDuplicatedLines) {
  lines_.insert(lines_.begin() + 4, lines_[3]);
  EXPECT_EQ(Found(lines_), "duplicated 3-3 at 5");
  lines_.push_back(lines_[0]);
  EXPECT_EQ(Found(lines_), "duplicated 3-3 at 5, duplicated 0-0 at 12");
}

TEST_F(LogVerifierTest, FindsACutTail) {
  lines_.pop_back();
  EXPECT_EQ(Found(lines_), "cut-tail 9-9 at 9");
  lines_.resize(1);
  EXPECT_EQ(Found(lines_), "cut-tail 1-9 at 1");
  EXPECT_EQ(Found({}), "cut-tail 0-9 at 0");
  // Within a line.
  std::string log = Trail().log;
  log.pop_back();
  EXPECT_EQ(TextOf(VerifyText(log, Trail().head)), "altered 9-9 at 10");
}

TEST_F(LogVerifierTest, FindsInsertedLines) {
  lines_.insert(lines_.begin() + 4, "{\"seq\":4,\"event\":\"access\"}");
  EXPECT_EQ(Found(lines_), "inserted 4-4 at 5");
  lines_.emplace_back("behind the end");
  EXPECT_EQ(Found(lines_), "inserted 4-4 at 5, inserted 10-10 at 12");
}

TEST_F(LogVerifierTest, FindsALineOfAnotherTrailOfTheSameKey) {
  lines_[3] = LinesOf(Other().log)[3];
  EXPECT_EQ(Found(lines_), "altered 3-3 at 4");
}

TEST_F(LogVerifierTest, FindsAWrongKey) {
  EXPECT_EQ(TextOf(VerifyText(Trail().log, Trail().head, test::kOtherSecretText)),
            "wrong-key 0-0 at 1");
  EXPECT_EQ(TextOf(VerifyText(Trail().log, "", test::kOtherSecretText)), "wrong-key 0-0 at 1");
}

TEST_F(LogVerifierTest, FindsAnotherTrailsHead) {
  EXPECT_EQ(TextOf(VerifyText(Trail().log, Other().head)), "foreign-head 0-0 at 0");
  EXPECT_EQ(TextOf(VerifyText(Other().log, Trail().head)), "foreign-head 0-0 at 0");
}

TEST_F(LogVerifierTest, FindsAnAlteredHead) {
  // Its closed flag, sequence, last MAC and MAC, in both copies and in one.
  for (const std::size_t at :
       {std::size_t{16}, std::size_t{56}, std::size_t{90}, kHeadCopyBytes - 1}) {
    std::string head = Trail().head;
    head[at] = static_cast<char>(head[at] ^ 1);
    EXPECT_EQ(TextOf(VerifyText(Trail().log, head)), "head-altered 0-0 at 0") << at;
    head[at + kHeadCopyBytes] = head[at];
    EXPECT_EQ(TextOf(VerifyText(Trail().log, head)), "head-altered 0-0 at 0") << at;
  }
  EXPECT_EQ(TextOf(VerifyText(Trail().log, "no head")), "head-altered 0-0 at 0");
}

TEST_F(LogVerifierTest, ADamagedFirstLineIsJudgedByTheHead) {
  lines_[0].replace(lines_[0].find("\"log\":\"") + 7, 4, "ffff");
  EXPECT_EQ(Found(lines_), "altered 0-0 at 1");
  lines_[0] = "";
  EXPECT_EQ(Found(lines_), "altered 0-0 at 1");
  EXPECT_EQ(TextOf(VerifyText(Joined(lines_), "")), "no-trail 0-0 at 1");
}

TEST_F(LogVerifierTest, WithoutAHeadACutTailCannotBeSeen) {
  lines_.resize(5);
  const VerifyReport report = VerifyText(Joined(lines_), "");
  EXPECT_TRUE(report.ok());
  EXPECT_FALSE(report.head.has_value());
}

TEST_F(LogVerifierTest, AFirstFileMayBeMissingWhereThatIsAllowed) {
  lines_.erase(lines_.begin(), lines_.begin() + 4);
  const VerifyReport report = VerifyText(Joined(lines_), Trail().head, test::kSecretText,
                                         {.partial = true, .steps_max = 4096});
  EXPECT_TRUE(report.ok()) << TextOf(report);
  EXPECT_EQ(report.first, 4U);
  EXPECT_EQ(Found(lines_), "removed 0-3 at 1");
}

TEST_F(LogVerifierTest, FarClaimsCostABoundedTime) {
  lines_[3].replace(0, 8, "{\"seq\":900");
  std::vector<std::string> many(lines_.begin(), lines_.begin() + 3);
  for (int i = 0; i < 100; ++i) many.push_back(lines_[3]);
  const VerifyReport report =
      VerifyText(Joined(many), Trail().head, test::kSecretText, {.steps_max = 4096});
  EXPECT_EQ(report.found, 100U);  // seven altered ones, and the rest inserted
}

TEST_F(LogVerifierTest, FindingsAreCountedAllAndListedUpToABound) {
  std::vector<std::string> many;
  for (int i = 0; i < 3000; ++i) many.push_back(lines_[0]);
  const VerifyReport report = VerifyText(Joined(many), Trail().head);
  EXPECT_EQ(report.found, 3000U);
  EXPECT_EQ(report.findings.size(), kFindingsMax);
}

// A crash: lines behind the head, and one that is not whole.
class CrashedTrailTest : public testing::Test {
 protected:
  // A log and the head as it was some lines before.
  CrashedTrailTest() {
    test::TrailScene scene;
    const std::unique_ptr<AuditTrail> trail = scene.Open();
    test::WriteObjects(*trail, 0, 3);
    older_ = test::ContentOf(scene.head());
    for (int i = 0; i < 5; ++i) test::WriteObjects(*trail, i, 1);
    newer_ = test::ContentOf(scene.head());
    log_ = test::ContentOf(scene.log());
  }

  std::string log_;
  std::string older_;
  std::string newer_;
};

TEST_F(CrashedTrailTest, LinesBehindTheHeadAreLegalUpToABound) {
  const VerifyReport report = VerifyText(log_, older_);
  EXPECT_TRUE(report.ok()) << TextOf(report);
  EXPECT_EQ(report.unsealed, 5U);
  EXPECT_FALSE(report.closed);
  EXPECT_EQ(VerifyText(log_, newer_).unsealed, 0U);
}

TEST_F(CrashedTrailTest, ALineBehindTheHeadMayBeTorn) {
  for (std::size_t bytes : {std::size_t{1}, std::size_t{30}, std::size_t{150}}) {
    const VerifyReport report = VerifyText(log_.substr(0, log_.size() - bytes), older_);
    EXPECT_TRUE(report.ok()) << TextOf(report);
    EXPECT_GT(report.torn_bytes, 0U);
    EXPECT_EQ(TextOf(VerifyText(log_.substr(0, log_.size() - bytes), newer_)), "altered 8-8 at 9");
  }
  EXPECT_EQ(TextOf(VerifyText(log_ + "x\n", newer_)), "inserted 9-9 at 10");
}

TEST_F(CrashedTrailTest, AnOldHeadThatWasPutBackIsFound) {
  test::TrailScene scene;
  scene.options.queue_depth = 2048;
  scene.options.sync = SyncPolicy::kNever;
  const std::unique_ptr<AuditTrail> trail = scene.Open();
  const std::string head = test::ContentOf(scene.head());
  test::WriteObjects(*trail, 0, static_cast<int>(kUnsealedLinesMax) + 1);
  EXPECT_EQ(TextOf(VerifyText(test::ContentOf(scene.log()), head)), "head-behind 1-1025 at 0");
}

// Lines that a crash left behind the head are cut off and others made with the same keys; then the
// old ones are put back. Each is genuine.
class TwoChainsTest : public testing::Test {
 protected:
  // Lines 0 to 2 are of both; then the writer begins twice.
  TwoChainsTest() {
    test::TrailScene scene;
    scene.options.sync = SyncPolicy::kNever;
    std::unique_ptr<AuditTrail> trail = scene.Open();
    test::WriteObjects(*trail, 0, 2);
    const std::string log = test::ContentOf(scene.log());
    const std::string head = test::ContentOf(scene.head());
    test::WriteObjects(*trail, 100, 5);
    trail.reset();
    first_ = LinesOf(test::ContentOf(scene.log()));
    test::Overwrite(scene.log(), log);
    test::Overwrite(scene.head(), head);
    trail = scene.Open();
    test::WriteObjects(*trail, 200, 4);
    trail.reset();
    second_ = LinesOf(test::ContentOf(scene.log()));
    head_ = test::ContentOf(scene.head());
  }
  std::string Found() const { return TextOf(VerifyText(Joined(second_), head_)); }

  std::vector<std::string> first_;
  std::vector<std::string> second_;
  std::string head_;
};

TEST_F(TwoChainsTest, FindsLinesThatArePutBack) {
  ASSERT_EQ(first_.size(), second_.size());
  EXPECT_EQ(Found(), "");
  const std::vector<std::string> good = second_;
  second_[3] = first_[3];
  EXPECT_EQ(Found(), "unlinked 3-4 at 5");
  second_[4] = first_[4];
  EXPECT_EQ(Found(), "unlinked 4-5 at 6");
  second_ = good;
  second_[5] = first_[5];
  EXPECT_EQ(Found(), "unlinked 4-5 at 6, unlinked 5-6 at 7");
  // All to the end: the head knows the last one.
  second_ = first_;
  EXPECT_EQ(Found(), "unlinked 8-8 at 0");
  second_ = good;
  second_.back() = first_.back();
  EXPECT_EQ(Found(), "unlinked 7-8 at 9, unlinked 8-8 at 0");
}

TEST_F(TwoChainsTest, AWriterDoesNotGoOnFromALineThatWasPutBack) {
  test::TrailScene scene;
  {
    const std::unique_ptr<AuditTrail> trail = scene.Open();
    test::WriteObjects(*trail, 0, 1);
  }
  const std::string log = test::ContentOf(scene.log());
  const std::string head = test::ContentOf(scene.head());
  const std::unique_ptr<MacEngine> engine = MacEngine::Create();
  HeadCopy copy;
  std::copy_n(head.begin(), copy.size(), copy.begin());
  AuditHead now = DecodeHead(copy).value();
  // A genuine line of the next number, behind another line than the last.
  std::string line;
  AppendTrailBody({.event = AuditEvent::kResume}, now.sequence, &line);
  AppendPrevious({}, &line);
  Mac mac;
  ASSERT_TRUE(now.key.MacOfLine(*engine, line, &mac));
  AppendMac(mac, &line);
  test::Overwrite(scene.log(), log + line);
  ASSERT_TRUE(scene.Open()->Close().ok());
  EXPECT_EQ(TextOf(scene.Verify()), "");
  EXPECT_EQ(test::ContentOf(scene.log()).find(line), std::string::npos);
}

TEST_F(CrashedTrailTest, AWriterAtWorkSealsWhileTheLogIsRead) {
  test::TrailScene scene;
  scene.options.queue_depth = 2048;
  scene.options.sync = SyncPolicy::kNever;
  const std::unique_ptr<AuditTrail> trail = scene.Open();
  const std::string before = test::ContentOf(scene.head());
  test::WriteObjects(*trail, 0, static_cast<int>(kUnsealedLinesMax) + 1);
  const std::string log = test::ContentOf(scene.log());
  test::WriteObjects(*trail, 0, 10);
  const std::string after = test::ContentOf(scene.head());
  const std::unique_ptr<LogVerifier> verifier =
      LogVerifier::Create(test::SecretBytes(test::kSecretText), before, {});
  verifier->BeginFile();
  for (const std::string& line : LinesOf(log)) verifier->TakeLine(line, true);
  verifier->TakeNewerHead(after);
  EXPECT_EQ(TextOf(verifier->Finish()), "");
  // From the files, with a head that grows meanwhile and one that was put back.
  const std::string files[] = {scene.log()};
  for (const std::string& newer : {after, before}) {
    const std::string path = scene.folder.Write("newer", newer);
    const FilesReport report = VerifyFiles(files, scene.options.secret, before, {}, [&path] {
      return std::move(ReadFile(path.c_str(), kHeadBytes)).value();
    });
    EXPECT_EQ(TextOf(report.report), newer == after ? "" : "head-behind 1-1035 at 0");
  }
}

TEST_F(CrashedTrailTest, ACopyOfTheHeadMayBeTornAndTheLogGoesOn) {
  std::string head = newer_;
  head[200] = static_cast<char>(head[200] ^ 1);
  EXPECT_EQ(TextOf(VerifyText(log_, head)), "");
  // The first copy is new, the second old: what a crash between the two leaves.
  const std::string between = newer_.substr(0, kHeadCopyBytes) + older_.substr(kHeadCopyBytes);
  EXPECT_EQ(TextOf(VerifyText(log_, between)), "");
}

// A trail that was made by a few lines of Python, from what the README says.
TEST(AnotherWriterTest, ATrailOfTheSameFormatIsGood) {
  const std::string made =
      test::ContentOf(ktlsim::test::SourceRoot() + "/tests/fuzz/corpus/audit_log/whole");
  ASSERT_GT(made.size(), 1 + kHeadBytes);
  const std::string log = made.substr(1 + kHeadBytes);
  const VerifyReport report = VerifyText(log, made.substr(1, kHeadBytes));
  EXPECT_TRUE(report.ok()) << TextOf(report);
  EXPECT_EQ(report.genuine, 3U);
  EXPECT_TRUE(report.closed);
}

TEST(FindingTest, EachHasAName) {
  for (int i = 0; i <= static_cast<int>(FindingKind::kHeadBehind); ++i) {
    EXPECT_NE(NameOf(static_cast<FindingKind>(i)), "?");
  }
  for (int i = 0; i <= static_cast<int>(AuditEvent::kStop); ++i) {
    EXPECT_NE(NameOf(static_cast<AuditEvent>(i)), "?");
  }
}

}  // namespace
}  // namespace ktlsim::audit
