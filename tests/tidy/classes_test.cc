// A class that holds everything hides its states in flags, so each has a bound.
#include "tests/tidy/classes.h"

#include <map>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace ktlsim::test {
namespace {

constexpr std::size_t kMembersMax = 30;
constexpr std::size_t kFlagsMax = 5;
constexpr std::size_t kFriendsMax = 2;

// Larger ones, each with its reason. One that no longer needs its line here fails, too.
const std::map<std::string, std::string>& Exceptions() {
  static const auto* const exceptions = new std::map<std::string, std::string>{
      {"HandshakeOptions", "what the caller of one handshake chooses, each choice by itself"},
  };
  return *exceptions;
}

// A C structure's members are its binary interface.
bool Counts(const SourceFile& file) {
  return (file.In("io") || file.In("tls") || file.In("kernel_sim")) &&
         !file.In("kernel_sim/include");
}

TEST(ClassesTest, FewMembersFlagsAndFriends) {
  std::set<std::string> needed;
  for (const SourceFile& file : Sources()) {
    if (!Counts(file)) continue;
    for (const Class& one : ClassesOf(file)) {
      const std::size_t members = one.members.size();
      if (members <= kMembersMax && one.flags() <= kFlagsMax && one.friends.size() <= kFriendsMax) {
        continue;
      }
      needed.insert(one.name);
      if (Exceptions().contains(one.name)) continue;
      ADD_FAILURE() << one.path << ":" << one.line << ": " << one.name << " has " << members
                    << " members (at most " << kMembersMax << "), " << one.flags()
                    << " flags (at most " << kFlagsMax << ") and " << one.friends.size()
                    << " friends (at most " << kFriendsMax
                    << "): make its parts classes of their own, and its flags states";
    }
  }
  for (const auto& [name, reason] : Exceptions()) {
    EXPECT_TRUE(needed.contains(name)) << name << " is small enough now: delete its exception";
    EXPECT_GT(reason.size(), 20U) << name;
  }
}

SourceFile Text(const std::string& code) { return {.path = "x.h", .text = code, .code = code}; }

// The finder itself, on the forms that occur.
TEST(ClassesTest, MembersAreFound) {
  const std::vector<Class> classes = ClassesOf(Text(R"(
class Outer final : public Base {
 public:
  Outer() : Base(1), count_{2} { Run(); }
  explicit Outer(int a);
  int Get() const { return count_; }
  virtual void Run() = 0;
  using Queue = List<Outer, &Outer::next_>;
  struct Inner {
    int a = 0, b[2];
    bool c : 1;
  };

 private:
  friend class Other;
  static constexpr int kMax = 3;
  enum class Phase : std::uint8_t { kOne, kTwo };
  void (*routine_)(void*) = nullptr;
  std::function<void(int, int)> call_;
  std::atomic<bool> flag_{false};
  bool other_ KTLSIM_GUARDED_BY(lock_) = false;
  std::map<int, std::string> map_ = {{1, "x"}};
  alignas(16) std::byte bytes_[4];
  int count_;
};
)"));
  ASSERT_EQ(classes.size(), 2U);
  std::string names;
  for (const Member& member : classes[0].members) names.append(member.name).append(" ");
  EXPECT_EQ(names, "routine_ call_ flag_ other_ map_ bytes_ count_ ");
  EXPECT_EQ(classes[0].flags(), 2U);
  EXPECT_EQ(classes[0].friends, std::vector<std::string>{"Other"});
  names.clear();
  for (const Member& member : classes[1].members) names.append(member.name).append(" ");
  EXPECT_EQ(names, "a b c ");
  EXPECT_EQ(classes[1].flags(), 1U);
}

}  // namespace
}  // namespace ktlsim::test
