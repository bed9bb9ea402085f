#include "kernel_sim/serve/file_content.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "io/passive_job.h"
#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/thread_identity.h"
#include "kernel_sim/serve/content_types.h"
#include "kernel_sim/serve/file_path.h"
#include "kernel_sim/serve/file_service.h"
#include "kernel_sim/serve/http_conditions.h"

namespace ktlsim::serve {
namespace {

constexpr const char* kReadTheFile = "read the file";
// So often a name is resolved again.
constexpr int kRaces = 16;

std::string IndexOf(const std::string& folder) {
  return folder.empty() ? kIndexName : folder + "/" + kIndexName;
}

unsigned StatusOfError(int error_number) {
  switch (error_number) {
    case 0:
      return 200;
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
    case ENXIO:  // a FIFO or socket without a partner
      return 404;
    case EACCES:
    case EPERM:
    case EXDEV:  // would leave the root
    case ELOOP:
      return 403;
    case EAGAIN:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return 503;
    default:
      return 500;
  }
}

class FileContent final : public HttpContent {
 public:
  FileContent(FileShare& share, io::Loop& loop)
      : share_(share), loop_(loop), opening_(*this), work_(loop, *this) {}

  HttpRequestText* request_text() override { return &text_; }
  // No body changes the response.
  bool WantsBody(const HttpRequest& /*request*/) override { return false; }
  Outcome Answer(const HttpRequest& request, HttpContentWaiter& waiter,
                 HttpResponse& response) override;
  Outcome Fill(std::uint64_t offset, std::span<std::byte> out, HttpContentWaiter& waiter,
               std::size_t* bytes) override;
  void EndResponse() override;
  void Release() override;

 private:
  enum class Job : std::uint8_t { kNone, kOpen, kRingOpen, kRead };

  // On the ring, with the rights of the client's Unix user.
  class Opening final : public io::OpenOperation {
   public:
    explicit Opening(FileContent& content) : content_(content) {}
    void OnOpened(Result<int> descriptor) override {
      // The last thing done here: the content may end.
      content_.RingOpened(descriptor);
    }

   private:
    FileContent& content_;
  };

  ~FileContent() = default;

  bool StartJob(Job job, HttpContentWaiter& waiter);
  bool StartRingOpen(HttpContentWaiter& waiter);
  bool StartOnRing();
  void RingOpened(Result<int> descriptor);
  bool OpenAgain();
  int FolderError() const;
  // On a worker thread at passive level, while the loop's side does not touch what it uses.
  void Work();
  void Refused();
  void Returned();
  int TryToOpen();
  int OpenTarget(FileTree::Wait wait);
  int OpenFolder(FileTree::Wait wait);
  void Describe();
  void DescribeFile();
  void DescribeWithoutFile(unsigned status);
  Outcome FillFromFile(std::uint64_t at, std::span<std::byte> out, HttpContentWaiter& waiter,
                       std::size_t* bytes);
  void TellFailure(Status failure) const;
  void Delete();

  // Fixed.
  FileShare& share_;
  io::Loop& loop_;

  HttpRequestText text_;
  FilePath target_;
  OpenFile file_;
  FileFacts facts_;
  int open_error_ = 0;
  unsigned refusal_ = 0;          // a status code that needs no file; else 0
  std::string fields_;            // of the response
  std::string body_text_;         // instead of the file
  std::uint64_t body_begin_ = 0;  // in the file
  HttpResponse* response_ = nullptr;
  bool is_get_ = false;

  // What a worker fetched.
  std::unique_ptr<std::byte[]> piece_;
  std::uint64_t piece_at_ = 0;
  int piece_bytes_ = 0;  // or a negative errno value

  // Of an opening on the ring.
  Opening opening_;
  IdentityRef client_;     // whose rights it has
  std::string name_;       // what is being opened
  bool is_index_ = false;  // the index of a folder
  int races_ = 0;

  Job job_ = Job::kNone;
  HttpContentWaiter* waiter_ = nullptr;  // null while a job runs: the connection is gone
  io::PassiveJob<&FileContent::Work, &FileContent::Returned, &FileContent::Refused> work_;
};

// ---- What may block

bool FileContent::StartJob(Job job, HttpContentWaiter& waiter) {
  job_ = job;
  waiter_ = &waiter;
  if (work_.Start(share_.workers)) return true;
  job_ = Job::kNone;
  return false;
}

void FileContent::Work() {
  if (job_ == Job::kOpen) {
    try {
      open_error_ = OpenTarget(FileTree::Wait::kMayBlock);
    } catch (const std::bad_alloc&) {
      open_error_ = ENOMEM;
    }
  } else {
    piece_bytes_ = ReadBlocking(file_, piece_at_, {piece_.get(), kFileReadBytes});
  }
}

// The client's Unix user could not be taken on: nothing is done for it as the server.
void FileContent::Refused() {
  open_error_ = EAGAIN;
  piece_bytes_ = -EAGAIN;
}

void FileContent::Returned() {
  const Job job = std::exchange(job_, Job::kNone);
  HttpContentWaiter* const waiter = std::exchange(waiter_, nullptr);
  if (waiter == nullptr) {
    Delete();
    return;
  }
  if (job != Job::kRead) Describe();
  waiter->OnContentReady();
}

// False: with the rights of the server, or with the client's on a worker.
bool FileContent::StartRingOpen(HttpContentWaiter& waiter) {
  if (ThreadIdentity::RightsOf(ThreadIdentity::Present()) == nullptr) return false;
  is_index_ = target_.directory;
  name_ = target_.path;
  if (is_index_) name_ = IndexOf(name_);
  client_ = ThreadIdentity::Get();
  races_ = 0;
  if (!StartOnRing()) return false;
  job_ = Job::kRingOpen;
  waiter_ = &waiter;
  return true;
}

// False: the tree is walked, or nobody has rights of its own.
bool FileContent::StartOnRing() {
  const std::optional<io::OpenRequest> request = share_.tree.RequestBelow(name_);
  const UnixIdentity* const rights = ThreadIdentity::RightsOf(client_.get());
  if (!request || rights == nullptr) return false;
  loop_.StartOpen(opening_, *request, *rights);
  return true;
}

void FileContent::RingOpened(Result<int> descriptor) {
  if (descriptor.ok()) {
    open_error_ = FileTree::Take(*descriptor, &file_, &facts_);
    const bool folder = open_error_ == 0 && target_.directory && !is_index_;
    if (folder) open_error_ = FolderError();
  } else {
    // Only where the kernel has judged is the client told that it has no right.
    const Status failure = descriptor.status();
    const bool judged = failure.category() == Category::kIo;
    open_error_ = judged ? failure.code() : EAGAIN;
    if (judged && OpenAgain()) return;
  }
  client_.reset();
  Returned();
}

// True: it is being opened again, or the folder instead of its index.
bool FileContent::OpenAgain() {
  if (waiter_ == nullptr) return false;
  // A rename at the same time makes the resolution start again.
  if (open_error_ == EAGAIN) return ++races_ < kRaces && StartOnRing();
  if (open_error_ != ENOENT || !is_index_) return false;
  is_index_ = false;
  name_ = target_.path;  // a part of what it was: needs no memory
  return StartOnRing();
}

// ---- The response

HttpContent::Outcome FileContent::Answer(const HttpRequest& request, HttpContentWaiter& waiter,
                                         HttpResponse& response) {
  response_ = &response;
  refusal_ = 0;
  open_error_ = 0;
  is_get_ = request.method == HttpMethod::kGet;
  try {
    if (!is_get_ && request.method != HttpMethod::kHead) {
      refusal_ = 405;
    } else {
      target_ = ResolveTarget(text_.target);
      refusal_ = target_.refusal;
    }
    // Who is nobody's client has no rights of its own: the server's are not lent.
    const bool lent = ThreadIdentity::Switches() && !ThreadIdentity::IsSet();
    if (refusal_ == 0 && lent) refusal_ = 403;
    if (refusal_ == 0 && StartRingOpen(waiter)) return Outcome::kLater;
    if (refusal_ == 0) open_error_ = TryToOpen();
  } catch (const std::bad_alloc&) {
    refusal_ = 503;
  }
  if (refusal_ == 0 && open_error_ == EAGAIN && StartJob(Job::kOpen, waiter)) {
    return Outcome::kLater;
  }
  Describe();
  return Outcome::kReady;
}

// Without waiting, which is done with the rights of the server only: EAGAIN leaves it to a worker.
int FileContent::TryToOpen() {
  if (ThreadIdentity::RightsOf(ThreadIdentity::Present()) != nullptr) return EAGAIN;
  return OpenTarget(FileTree::Wait::kNever);
}

int FileContent::OpenTarget(FileTree::Wait wait) {
  if (target_.directory) return OpenFolder(wait);
  return share_.tree.OpenBelow(target_.path, wait, &file_, &facts_);
}

int FileContent::OpenFolder(FileTree::Wait wait) {
  const int error_number = share_.tree.OpenBelow(IndexOf(target_.path), wait, &file_, &facts_);
  if (error_number != ENOENT) return error_number;
  // A folder without an index exists but is not shown; anything else does not exist.
  const int folder_error = share_.tree.OpenBelow(target_.path, wait, &file_, &facts_);
  return folder_error != 0 ? folder_error : FolderError();
}

int FileContent::FolderError() const { return facts_.directory ? EACCES : ENOTDIR; }

void FileContent::Describe() {
  try {
    if (refusal_ != 0) {
      DescribeWithoutFile(refusal_);
    } else if (open_error_ != 0) {
      const unsigned status = StatusOfError(open_error_);
      if (status >= 500) TellFailure(IoError(open_error_, "open the file"));
      DescribeWithoutFile(status);
    } else if (facts_.directory) {
      DescribeWithoutFile(target_.directory ? 403 : 301);
    } else if (!facts_.regular) {
      DescribeWithoutFile(403);
    } else {
      DescribeFile();
    }
  } catch (const std::bad_alloc&) {
    fields_.clear();
    body_text_.clear();
    file_.Close();
    response_->status = 503;
    response_->body_bytes = 0;
  }
  response_->fields = fields_;
}

void FileContent::DescribeFile() {
  const std::string etag =
      fmt::format("\"{:x}.{:x}-{:x}\"", static_cast<std::uint64_t>(facts_.modified_s),
                  facts_.modified_ns, facts_.bytes);
  // Not later than the response's own Date (RFC 9110 8.8.2.1), which is made after this.
  const std::time_t modified = std::min<std::time_t>(facts_.modified_s, std::time(nullptr));
  const Validators validators{etag, modified};
  char date[kHttpDateBytesMax];
  const std::size_t date_bytes = FormatHttpDate(modified, date);
  const std::string common =
      fmt::format("Last-Modified: {}\r\nETag: {}\r\nAccept-Ranges: bytes\r\n",
                  std::string_view(date, date_bytes), etag);
  const unsigned condition = CheckPreconditions(text_, validators);
  if (condition == 412) {
    DescribeWithoutFile(412);
    return;
  }
  fields_ = common;
  if (condition == 304) {
    response_->status = 304;
    response_->body_bytes = 0;
    file_.Close();
    return;
  }
  // Range means something for GET only (RFC 9110 14.2).
  const ByteRange range = is_get_ ? SelectRange(text_, validators, facts_.bytes) : ByteRange();
  switch (range.kind) {
    case ByteRange::Kind::kWhole:
      response_->status = 200;
      body_begin_ = 0;
      response_->body_bytes = facts_.bytes;
      break;
    case ByteRange::Kind::kPart:
      response_->status = 206;
      body_begin_ = range.first;
      response_->body_bytes = range.bytes;
      fields_ += fmt::format("Content-Range: bytes {}-{}/{}\r\n", range.first,
                             range.first + range.bytes - 1, facts_.bytes);
      break;
    case ByteRange::Kind::kUnsatisfiable:
      DescribeWithoutFile(416);
      fields_ = fmt::format("Content-Range: bytes */{}\r\n", facts_.bytes);
      return;
  }
  response_->content_type = ContentTypeOf(target_.directory ? kIndexName : target_.path);
}

void FileContent::DescribeWithoutFile(unsigned status) {
  file_.Close();
  fields_.clear();
  if (status == 405) fields_ = "Allow: GET, HEAD\r\n";
  if (status == 301) {
    const std::string location = DirectoryLocation(target_.path) + QueryOf(text_.target);
    if (location.size() > kLocationBytesMax) {
      status = 414;
    } else {
      fields_ = fmt::format("Location: {}\r\n", location);
    }
  }
  body_text_ = fmt::format("{} {}\n", status, HttpReason(status));
  response_->status = status;
  response_->content_type = "text/plain; charset=utf-8";
  response_->body_bytes = body_text_.size();
}

// ---- The body

HttpContent::Outcome FileContent::Fill(std::uint64_t offset, std::span<std::byte> out,
                                       HttpContentWaiter& waiter, std::size_t* bytes) {
  if (file_) return FillFromFile(body_begin_ + offset, out, waiter, bytes);
  KTLSIM_ASSERT(offset < body_text_.size());
  *bytes = std::min<std::size_t>(out.size(), body_text_.size() - offset);
  std::memcpy(out.data(), body_text_.data() + offset, *bytes);
  return Outcome::kReady;
}

HttpContent::Outcome FileContent::FillFromFile(std::uint64_t at, std::span<std::byte> out,
                                               HttpContentWaiter& waiter, std::size_t* bytes) {
  if (piece_ != nullptr && at >= piece_at_) {
    if (at == piece_at_ && piece_bytes_ <= 0) {
      TellFailure(IoError(piece_bytes_ < 0 ? -piece_bytes_ : ENODATA, kReadTheFile));
      return Outcome::kFailed;
    }
    const std::uint64_t skip = at - piece_at_;
    if (piece_bytes_ > 0 && skip < static_cast<std::uint64_t>(piece_bytes_)) {
      *bytes = std::min<std::size_t>(out.size(), static_cast<std::size_t>(piece_bytes_) - skip);
      std::memcpy(out.data(), piece_.get() + skip, *bytes);
      return Outcome::kReady;
    }
  }
  const int read = ReadCached(file_, at, out);
  if (read > 0) {
    *bytes = static_cast<std::size_t>(read);
    return Outcome::kReady;
  }
  if (read == 0) {
    // The file has become shorter than it was.
    TellFailure(IoError(ENODATA, kReadTheFile));
    return Outcome::kFailed;
  }
  if (piece_ == nullptr) piece_.reset(new (std::nothrow) std::byte[kFileReadBytes]);
  piece_at_ = at;
  piece_bytes_ = 0;
  if (piece_ != nullptr && StartJob(Job::kRead, waiter)) return Outcome::kLater;
  TellFailure(IoError(ENOMEM, kReadTheFile));
  return Outcome::kFailed;
}

void FileContent::TellFailure(Status failure) const {
  if (share_.watcher != nullptr) share_.watcher->OnFileFailed(text_.target, failure);
}

// An idle connection keeps nothing.
void FileContent::EndResponse() {
  KTLSIM_ASSERT(job_ == Job::kNone);
  text_.Clear();
  target_ = {};
  fields_ = {};
  body_text_ = {};
  file_.Close();
  piece_.reset();
  client_.reset();
  name_ = {};
  response_ = nullptr;
}

void FileContent::Release() {
  waiter_ = nullptr;
  if (job_ == Job::kNone) {
    Delete();
  } else if (job_ == Job::kRingOpen) {
    // A folder that hangs would keep the client's token, and the end of the server.
    loop_.Cancel(opening_);
  }
}

void FileContent::Delete() {
  Rundown& contents = share_.contents;
  delete this;
  contents.Leave();
}

}  // namespace

HttpContent* MakeFileContent(FileShare& share, io::Loop& loop) {
  if (!share.contents.Enter()) return nullptr;
  auto* content = new (std::nothrow) FileContent(share, loop);
  if (content == nullptr) share.contents.Leave();
  return content;
}

}  // namespace ktlsim::serve
