// A header includes the standard headers that it uses. The target `headers_alone` compiles each
// header by itself, but after the precompiled standard headers, and so cannot tell.
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "tests/tidy/source_tree.h"

namespace ktlsim::test {
namespace {

// A standard header and names of namespace std that it declares; what is missing here and used is
// reported.
struct StandardHeader {
  std::string header;
  std::vector<std::string> names;
};

const std::vector<StandardHeader>& StandardHeaders() {
  static const auto* const headers = new std::vector<StandardHeader>{
      {"algorithm",
       {"all_of",  "any_of", "clamp",     "copy",    "copy_n",      "count",     "count_if",
        "equal",   "fill",   "find",      "find_if", "lower_bound", "max",       "min",
        "none_of", "ranges", "remove_if", "reverse", "sort",        "transform", "upper_bound"}},
      {"array", {"array", "to_array"}},
      {"atomic",
       {"atomic", "atomic_flag", "atomic_ref", "atomic_thread_fence", "memory_order",
        "memory_order_acq_rel", "memory_order_acquire", "memory_order_relaxed",
        "memory_order_release", "memory_order_seq_cst"}},
      {"bit",
       {"bit_cast", "bit_ceil", "bit_width", "byteswap", "countl_zero", "countr_zero", "endian",
        "has_single_bit", "popcount", "rotl"}},
      {"bitset", {"bitset"}},
      {"charconv", {"from_chars", "to_chars"}},
      {"chrono", {"chrono"}},
      {"compare", {"partial_ordering", "strong_ordering", "weak_ordering"}},
      {"concepts",
       {"convertible_to", "derived_from", "integral", "invocable", "same_as", "unsigned_integral"}},
      {"condition_variable", {"condition_variable", "condition_variable_any"}},
      {"csignal", {"signal"}},
      {"cstddef", {"byte", "max_align_t", "nullptr_t", "ptrdiff_t", "size_t", "to_integer"}},
      {"cstdint",
       {"int16_t", "int32_t", "int64_t", "int8_t", "intptr_t", "uint16_t", "uint32_t", "uint64_t",
        "uint8_t", "uintptr_t"}},
      {"cstdio", {"FILE", "fprintf", "snprintf"}},
      {"cstdlib", {"abort", "getenv", "strtoul", "strtoull"}},
      {"cstring",
       {"memchr", "memcmp", "memcpy", "memmove", "memset", "strcmp", "strerror", "strlen"}},
      {"ctime", {"time", "time_t"}},
      {"deque", {"deque"}},
      {"exception", {"exception"}},
      {"filesystem", {"filesystem"}},
      {"fstream", {"ifstream", "ofstream"}},
      {"functional",
       {"cref", "function", "greater", "hash", "invoke", "less", "ref", "reference_wrapper"}},
      {"future", {"future", "promise"}},
      {"initializer_list", {"initializer_list"}},
      {"ios", {"hex", "ios"}},
      {"iterator",
       {"back_inserter", "begin", "end", "forward_iterator_tag", "input_iterator_tag", "next",
        "prev"}},
      {"limits", {"numeric_limits"}},
      {"list", {"list"}},
      {"map", {"map", "multimap"}},
      {"memory",
       {"addressof", "allocator", "assume_aligned", "construct_at", "destroy_at",
        "enable_shared_from_this", "make_shared", "make_unique", "shared_ptr", "unique_ptr",
        "weak_ptr"}},
      {"mutex",
       {"adopt_lock", "call_once", "defer_lock", "lock_guard", "mutex", "once_flag",
        "recursive_mutex", "scoped_lock", "unique_lock"}},
      {"new", {"align_val_t", "bad_alloc", "launder", "nothrow", "nothrow_t"}},
      {"numeric", {"accumulate"}},
      {"optional", {"make_optional", "nullopt", "nullopt_t", "optional"}},
      {"ostream", {"ostream"}},
      {"queue", {"priority_queue", "queue"}},
      {"random", {"exponential_distribution", "mt19937", "mt19937_64", "uniform_int_distribution"}},
      {"set", {"multiset", "set"}},
      {"shared_mutex", {"shared_lock", "shared_mutex"}},
      {"span", {"as_bytes", "as_writable_bytes", "span"}},
      {"sstream", {"istringstream", "ostringstream", "stringstream"}},
      {"stdexcept", {"runtime_error"}},
      {"string", {"basic_string", "getline", "stoul", "string", "to_string", "u16string"}},
      {"string_view", {"string_view", "u16string_view"}},
      {"system_error", {"errc", "error_code", "system_error"}},
      {"thread", {"jthread", "this_thread", "thread"}},
      {"tuple", {"apply", "make_tuple", "tie", "tuple"}},
      {"type_traits",
       {"conditional_t", "decay_t", "enable_if_t", "false_type", "invoke_result_t", "is_const_v",
        "is_enum_v", "is_integral_v", "is_nothrow_destructible_v",
        "is_nothrow_move_constructible_v", "is_same_v", "is_trivially_copyable_v",
        "is_trivially_destructible_v", "is_unsigned_v", "is_void_v", "remove_cvref_t",
        "remove_reference_t", "true_type", "underlying_type_t"}},
      {"unordered_map", {"unordered_map", "unordered_multimap"}},
      {"unordered_set", {"unordered_set"}},
      {"utility",
       {"as_const", "declval", "exchange", "forward", "in_place", "in_place_index", "in_place_type",
        "in_place_type_t", "index_sequence", "make_index_sequence", "make_pair", "move", "pair",
        "swap", "to_underlying"}},
      {"variant", {"get", "get_if", "holds_alternative", "monostate", "variant", "visit"}},
      {"vector", {"erase", "vector"}},
  };
  return *headers;
}

const std::map<std::string, std::string>& HeaderOfName() {
  static const auto* const header_of = [] {
    auto* all = new std::map<std::string, std::string>;
    for (const StandardHeader& standard : StandardHeaders()) {
      for (const std::string& name : standard.names) all->emplace(name, standard.header);
    }
    return all;
  }();
  return *header_of;
}

// The names after "std::" in `code`.
std::set<std::string> StandardNames(std::string_view code) {
  constexpr std::string_view kPrefix = "std::";
  std::set<std::string> names;
  for (std::size_t at = code.find(kPrefix); at != std::string_view::npos;
       at = code.find(kPrefix, at)) {
    const bool whole = at == 0 || !IsWord(code[at - 1]);
    at += kPrefix.size();
    std::size_t end = at;
    while (end < code.size() && IsWord(code[end])) ++end;
    if (whole) names.emplace(code.substr(at, end - at));
  }
  return names;
}

bool Includes(const SourceFile& file, std::string_view header) {
  return file.code.find(std::string("#include <").append(header).append(">")) != std::string::npos;
}

// The headers of the streams declare what every stream has as well.
bool IncludesDeclarationOf(const SourceFile& file, const std::string& header) {
  if (Includes(file, header)) return true;
  if (header != "ostream" && header != "ios") return false;
  return Includes(file, "iosfwd") || Includes(file, "iostream") || Includes(file, "sstream") ||
         Includes(file, "fstream");
}

TEST(StandardIncludesTest, HeadersIncludeTheStandardHeadersTheyUse) {
  int headers = 0;
  for (const SourceFile& file : Sources()) {
    // The public headers are C and compiled without precompiled headers.
    if (!file.Is(".h") || file.In("kernel_sim/include") || file.In("examples")) continue;
    ++headers;
    for (const std::string& name : StandardNames(file.code)) {
      const auto known = HeaderOfName().find(name);
      if (known == HeaderOfName().end()) {
        ADD_FAILURE() << file.path << " uses std::" << name
                      << ": name its header in StandardHeaders() of this test";
      } else {
        EXPECT_TRUE(IncludesDeclarationOf(file, known->second))
            << file.path << " uses std::" << name << " and does not include <" << known->second
            << ">";
      }
    }
  }
  EXPECT_GT(headers, 400);
}

}  // namespace
}  // namespace ktlsim::test
