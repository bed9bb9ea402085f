#include "kernel_sim/digest/directives.h"

#include <algorithm>
#include <new>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/characters.h"
#include "kernel_sim/digest/lexer.h"

namespace ktlsim::digest {

char* ValueRoom::Take(std::size_t bytes, std::size_t total) {
  if (room_ == nullptr) {
    room_.reset(new (std::nothrow) char[total]);
    if (room_ == nullptr) return nullptr;
  }
  char* const taken = room_.get() + used_;
  used_ += bytes;
  KTLSIM_CHECK(used_ <= total);
  return taken;
}

// Reads one message into a list.
class DirectiveReader {
 public:
  DirectiveReader(std::string_view text, std::string_view repeatable, DirectiveList* list)
      : lexer_(text), repeatable_(repeatable), list_(list) {}

  Fault Read() {
    for (lexer_.SkipSpaceAndCommas(); !lexer_.AtEnd(); lexer_.SkipSpaceAndCommas()) {
      Directive directive;
      Fault fault = ReadOne(&directive);
      if (fault == Fault::kNone) fault = Add(directive);
      if (fault != Fault::kNone) return fault;
    }
    return Fault::kNone;
  }

 private:
  Fault ReadOne(Directive* directive) {
    directive->name = lexer_.TakeToken();
    lexer_.SkipSpace();
    if (directive->name.empty() || !lexer_.Take('=')) return Fault::kSyntax;
    lexer_.SkipSpace();
    if (lexer_.Take('"')) {
      const Fault fault = ReadQuoted(&directive->value);
      if (fault != Fault::kNone) return fault;
    } else {
      directive->value = lexer_.TakeToken();
      if (directive->value.empty()) return Fault::kSyntax;
    }
    lexer_.SkipSpace();
    return lexer_.AtEnd() || lexer_.Peek() == ',' ? Fault::kNone : Fault::kSyntax;
  }

  Fault ReadQuoted(std::string_view* value) {
    std::size_t escapes = 0;
    if (!lexer_.TakeQuoted(value, &escapes)) return Fault::kUnterminated;
    if (escapes == 0) return Fault::kNone;
    const std::size_t bytes = value->size() - escapes;
    char* const room = list_->TakeRoom(bytes);
    if (room == nullptr) return Fault::kNoMemory;
    std::size_t written = 0;
    for (std::size_t i = 0; i < value->size(); ++i) {
      if ((*value)[i] == '\\') ++i;  // never the last one: it would have escaped the quote
      room[written++] = (*value)[i];
    }
    *value = {room, bytes};
    return Fault::kNone;
  }

  Fault Add(const Directive& directive) {
    if (list_->Find(directive.name) != nullptr && !EqualsIgnoringCase(directive.name, repeatable_))
      return Fault::kDuplicate;
    return list_->Append(directive) ? Fault::kNone : Fault::kTooMany;
  }

  Lexer lexer_;
  const std::string_view repeatable_;
  DirectiveList* const list_;
};

Fault DirectiveList::Parse(std::string_view text, std::size_t bytes_max,
                           std::string_view repeatable) {
  count_ = 0;
  text_bytes_ = text.size();
  room_ = ValueRoom();
  if (text.size() > bytes_max) return Fault::kTooLong;
  if (std::ranges::any_of(text, IsControl)) return Fault::kControlByte;
  const Fault fault = DirectiveReader(text, repeatable, this).Read();
  if (fault != Fault::kNone) count_ = 0;
  return fault;
}

char* DirectiveList::TakeRoom(std::size_t bytes) {
  // A value is put there at most twice: without its escapes, and decoded.
  return room_.Take(bytes, 2 * text_bytes_);
}

bool DirectiveList::Append(const Directive& directive) {
  if (count_ == kDirectivesMax) return false;
  directives_[count_++] = directive;
  return true;
}

const Directive* DirectiveList::Find(std::string_view name) const {
  for (const Directive& directive : all()) {
    if (EqualsIgnoringCase(directive.name, name)) return &directive;
  }
  return nullptr;
}

std::string_view DirectiveList::ValueOf(std::string_view name) const {
  const Directive* const found = Find(name);
  return found == nullptr ? std::string_view() : found->value;
}

Fault DirectiveList::Require(std::string_view name, std::string_view* value) const {
  *value = ValueOf(name);
  return value->empty() ? Fault::kMissing : Fault::kNone;
}

std::string_view WithoutScheme(std::string_view text) {
  constexpr std::string_view kScheme = "Digest";
  while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
  if (!EqualsIgnoringCase(text.substr(0, kScheme.size()), kScheme)) return text;
  std::string_view parameters = text.substr(kScheme.size());
  if (parameters.empty()) return parameters;
  if (!IsSpace(parameters.front())) return text;
  while (!parameters.empty() && IsSpace(parameters.front())) parameters.remove_prefix(1);
  // "digest = x" is a directive of that name.
  return parameters.starts_with('=') ? text : parameters;
}

}  // namespace ktlsim::digest
