#include "engine/scheduler.h"

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <new>
#include <thread>

#include "engine/scheduler_queue.h"

namespace truevec {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr int64_t kLeastBatchTokens = 256;
// Texts from this size on are tokenised beside the queue: they would hold it up.
constexpr size_t kLongText = size_t{32} << 10;

struct Pick {
  TaskJobPtr job;
  size_t index = 0;
};

int64_t EstimateTokens(const TaskText& text, int64_t limit) {
  const size_t bytes = text.text.size() + (text.pair.has_value() ? text.pair->size() : 0);
  int64_t tokens = text.ids.empty() ? static_cast<int64_t>(bytes / 4 + 2) : static_cast<int64_t>(text.ids.size());
  if (limit > 0) tokens = std::min(tokens, limit);
  return std::max<int64_t>(tokens, 1);
}

bool GivesTokenVectors(TaskKind kind) { return kind == TaskKind::kTokens || kind == TaskKind::kMultiVector; }

Status WithText(const Status& status, const TaskJob& job, size_t index) {
  return job.units.size() == 1 ? status : status.WithContext("text " + std::to_string(index));
}

}  // namespace

size_t EstimateTokenVectors(const TaskRequest& request) {
  if (!GivesTokenVectors(request.kind)) return 0;
  const int64_t limit = request.encode.max_length.value_or(request.model->max_length());
  int64_t tokens = 0;
  for (const TaskText& text : request.texts)
    tokens += std::min(2 * EstimateTokens(text, 0), limit > 0 ? limit : INT32_MAX);
  return static_cast<size_t>(tokens * request.model->dimension()) * sizeof(float);
}

class Scheduler::Impl {
 public:
  Impl(const SchedulerOptions& options, std::function<void(const BatchReport&)> on_batch)
      : options_(options),
        on_batch_(std::move(on_batch)),
        pool_(options.threads > 0 ? options.threads : AvailableCpus()),
        worker_([this] { Work(); }),
        encoder_([this] { EncodeLongTexts(); }) {}
  ~Impl() { Stop(); }

  void Submit(TaskRequest request, TaskDone done);
  void Stop();
  SchedulerLoad load() const;
  ThreadPool* pool() { return &pool_; }
  const SchedulerOptions& options() const { return options_; }

 private:
  static TaskJobPtr MakeJob(TaskRequest request, TaskDone done);
  std::optional<TaskResult> Refusal(const TaskJob& job) const;  // REQUIRES: mutex_
  milliseconds DrainTime(int64_t tokens) const;                 // REQUIRES: mutex_
  int64_t BatchBudget() const;                                  // REQUIRES: mutex_
  void Work();
  void EncodeLongTexts();
  std::vector<Pick> TakeBatch(std::vector<TaskJobPtr>* dropped);  // REQUIRES: mutex_
  void TakeFrom(FairLane* lane, int64_t budget, std::vector<Pick>* picks, int64_t* tokens,
                std::vector<TaskJobPtr>* dropped);
  void Encode(const std::vector<Pick>& picks);
  static Result<EncodedText> EncodeText(const ServingModel& model, const TaskText& text,
                                        const EncodeTextOptions& options);
  static Status EncodeOne(TaskJob* job, size_t index);
  void Run(std::vector<Pick> picks);
  Status RunBatch(const std::vector<Pick>& picks);
  static Status Compute(const std::vector<Pick>& picks, const ExecContext& context);
  void Fail(const TaskJobPtr& job, TaskOutcome outcome, const Status& status, std::optional<size_t> text);
  void Finish(const Pick& pick);
  void Answer(const TaskJobPtr& job);
  void Note(const std::vector<Pick>& picks, Clock::duration encoding, Clock::duration computing);

  const SchedulerOptions options_;
  const std::function<void(const BatchReport&)> on_batch_;
  ThreadPool pool_;
  Arena arena_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable wake_encoder_;
  TaskQueue queue_;
  std::deque<TaskJobPtr> to_encode_;
  bool stopping_ = false;
  size_t requests_ = 0;
  size_t texts_ = 0;
  size_t bytes_ = 0;
  std::array<int64_t, kLanes> tokens_{};  // estimated, waiting
  double rate_ = 0;                       // tokens a second, moving average
  std::thread worker_;
  std::thread encoder_;
};

TaskJobPtr Scheduler::Impl::MakeJob(TaskRequest request, TaskDone done) {
  auto job = std::make_shared<TaskJob>();
  job->request = std::move(request);
  job->done = std::move(done);
  job->submitted = Clock::now();
  const TaskRequest& asked = job->request;
  TV_CHECK(!asked.texts.empty());
  TV_CHECK(asked.encode_texts.empty() || asked.encode_texts.size() == asked.texts.size());
  const int64_t limit = asked.encode.max_length.value_or(asked.model->max_length());
  job->units.resize(asked.texts.size());
  for (size_t i = 0; i < asked.texts.size(); ++i) {
    const TaskText& text = asked.texts[i];
    job->units[i].estimate = static_cast<int32_t>(std::min<int64_t>(EstimateTokens(text, limit), INT32_MAX));
    job->tokens_left += job->units[i].estimate;
    job->bytes += text.text.size() + (text.pair.has_value() ? text.pair->size() : 0) + 4 * text.ids.size();
  }
  job->bytes += EstimateTokenVectors(asked);
  job->lane = job->tokens_left <= kQueryTokens ? kQueries : kBulk;
  job->result.text_tokens.resize(asked.texts.size());
  const Pipeline& pipeline = asked.model->pipeline();
  switch (asked.kind) {
    case TaskKind::kDense:
      job->result.width = pipeline.OutputWidth(asked.embed);
      break;
    case TaskKind::kScore:
      job->result.width = pipeline.labels();
      break;
    default:
      job->rows.resize(asked.texts.size());
      job->row_columns.resize(asked.texts.size());
      break;
  }
  return job;
}

milliseconds Scheduler::Impl::DrainTime(int64_t tokens) const {
  if (rate_ <= 0) return milliseconds(0);
  return milliseconds(static_cast<int64_t>(std::ceil(1000.0 * static_cast<double>(tokens) / rate_)));
}

int64_t Scheduler::Impl::BatchBudget() const {
  const double seconds = std::chrono::duration<double>(options_.batch_time).count();
  const auto fits = static_cast<int64_t>(rate_ * seconds);
  return std::min(std::max(fits, kLeastBatchTokens), options_.max_batch_tokens);
}

// A request alone in its lane is never refused, however large.
std::optional<TaskResult> Scheduler::Impl::Refusal(const TaskJob& job) const {
  TaskResult result;
  if (stopping_) {
    result.outcome = TaskOutcome::kStopping;
    result.status = {Code::kUnavailable, "the server is stopping"};
    return result;
  }
  const int64_t waiting = tokens_[kQueries] + tokens_[kBulk];
  const int64_t ahead = job.lane == kQueries ? tokens_[kQueries] : waiting;
  const milliseconds wait = DrainTime(ahead);
  const bool late = wait > (job.lane == kQueries ? options_.max_wait : options_.max_bulk_wait);
  const bool full = texts_ + job.units.size() > options_.max_queue_texts ||
                    bytes_ + job.bytes > options_.max_queue_bytes ||
                    waiting + job.tokens_left > options_.max_queue_tokens;
  if (ahead == 0 && bytes_ + job.bytes <= options_.max_queue_bytes * 2) return std::nullopt;
  if (!late && !full) return std::nullopt;
  result.outcome = TaskOutcome::kFull;
  result.status = {Code::kUnavailable, "the queue is full: " + std::to_string(texts_) + " texts wait; try again"};
  // Half of what waits ahead must be gone before coming back makes sense.
  result.retry_after = std::clamp(wait / 2, milliseconds(50), milliseconds(60000));
  return result;
}

void Scheduler::Impl::Submit(TaskRequest request, TaskDone done) {
  const TaskJobPtr job = MakeJob(std::move(request), std::move(done));
  const auto& texts = job->request.texts;
  const bool has_long = std::any_of(texts.begin(), texts.end(), [](const TaskText& text) {
    return text.text.size() + (text.pair.has_value() ? text.pair->size() : 0) >= kLongText;
  });
  std::optional<TaskResult> refusal;
  {
    const std::lock_guard lock(mutex_);
    refusal = Refusal(*job);
    if (!refusal.has_value()) {
      ++requests_;
      texts_ += job->units.size();
      bytes_ += job->bytes;
      tokens_[static_cast<size_t>(job->lane)] += job->tokens_left;
      if (has_long) {
        to_encode_.push_back(job);
      } else {
        queue_.Push(job);
      }
    }
  }
  if (refusal.has_value()) return job->done(std::move(*refusal));
  (has_long ? wake_encoder_ : wake_).notify_one();
}

void Scheduler::Impl::Stop() {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
  }
  wake_.notify_one();
  wake_encoder_.notify_one();
  worker_.join();
  encoder_.join();
  std::vector<TaskJobPtr> waiting = queue_.All();
  waiting.insert(waiting.end(), to_encode_.begin(), to_encode_.end());
  for (const TaskJobPtr& job : waiting) {
    if (!job->answered) Fail(job, TaskOutcome::kStopping, {Code::kUnavailable, "the server is stopping"}, std::nullopt);
  }
  // Jobs hold their callers' connections, which must not outlive the server.
  queue_ = TaskQueue();
  to_encode_.clear();
}

SchedulerLoad Scheduler::Impl::load() const {
  const std::lock_guard lock(mutex_);
  return {requests_, texts_, tokens_[kQueries] + tokens_[kBulk], bytes_, rate_};
}

// Tokenises requests with long texts beside the queue, then lets them in.
void Scheduler::Impl::EncodeLongTexts() {
  for (;;) {
    TaskJobPtr job;
    {
      std::unique_lock lock(mutex_);
      wake_encoder_.wait(lock, [this] { return stopping_ || !to_encode_.empty(); });
      if (stopping_) return;
      job = to_encode_.front();
    }
    Status status;
    size_t failed = 0;
    for (size_t i = 0; i < job->units.size() && status.ok(); ++i) {
      status = EncodeOne(job.get(), i);
      failed = i;
    }
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      to_encode_.pop_front();
      if (status.ok()) {
        queue_.Push(job);
      } else {
        tokens_[static_cast<size_t>(job->lane)] -= job->tokens_left;
        job->tokens_left = 0;
        job->taken = job->units.size();
      }
    }
    if (!status.ok()) {
      const bool too_long = job->units[failed].encoded.has_value();
      Fail(job, too_long ? TaskOutcome::kTooLong : TaskOutcome::kFailed, WithText(status, *job, failed), failed);
    }
    wake_.notify_one();
  }
}

void Scheduler::Impl::TakeFrom(FairLane* lane, int64_t budget, std::vector<Pick>* picks, int64_t* tokens,
                               std::vector<TaskJobPtr>* dropped) {
  size_t demotions = 0;
  while (!lane->empty() && picks->size() < options_.max_batch_texts) {
    const TaskJobPtr job = lane->Front();
    const TaskClient client = job->request.state ? job->request.state() : TaskClient::kHere;
    const bool late = job->request.deadline.has_value() && Clock::now() > *job->request.deadline;
    if (job->answered || client == TaskClient::kGone || late) {
      lane->Charge(0, /*drop=*/true);
      if (!job->answered) dropped->push_back(job);
      continue;
    }
    if (client == TaskClient::kDoubtful && demotions < 64) {
      ++demotions;
      lane->Demote();
      if (lane->Front() != job) continue;
    }
    const TaskUnit& unit = job->units[job->taken];
    const int64_t cost = unit.encoded.has_value() ? static_cast<int64_t>(unit.encoded->ids.size()) : unit.estimate;
    if (!picks->empty() && *tokens + cost > budget) return;
    picks->push_back({job, job->taken});
    *tokens += cost;
    job->tokens_left -= unit.estimate;
    tokens_[static_cast<size_t>(job->lane)] -= unit.estimate;
    if (!job->started.has_value()) job->started = Clock::now();
    ++job->taken;
    lane->Charge(cost, /*drop=*/job->taken == job->units.size());
  }
}

std::vector<Pick> Scheduler::Impl::TakeBatch(std::vector<TaskJobPtr>* dropped) {
  std::vector<Pick> picks;
  Group* group = queue_.Next();
  if (group == nullptr) return picks;
  const int64_t budget = BatchBudget();
  int64_t tokens = 0;
  // Queries leave a quarter to bulk work that waits.
  FairLane& queries = group->lanes[kQueries];
  FairLane& bulk = group->lanes[kBulk];
  TakeFrom(&queries, bulk.empty() ? budget : budget * 3 / 4, &picks, &tokens, dropped);
  TakeFrom(&bulk, budget, &picks, &tokens, dropped);
  TakeFrom(&queries, budget, &picks, &tokens, dropped);
  group->served += static_cast<double>(tokens);
  queue_.Sweep();
  return picks;
}

void Scheduler::Impl::Work() {
  for (;;) {
    std::vector<Pick> picks;
    std::vector<TaskJobPtr> dropped;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (stopping_) return;
      picks = TakeBatch(&dropped);
      for (const TaskJobPtr& job : dropped) {
        tokens_[static_cast<size_t>(job->lane)] -= job->tokens_left;
        job->tokens_left = 0;
        job->taken = job->units.size();
      }
    }
    for (const TaskJobPtr& job : dropped) {
      const bool late = job->request.deadline.has_value() && Clock::now() > *job->request.deadline;
      Fail(job, late ? TaskOutcome::kLate : TaskOutcome::kGone,
           {Code::kInterrupted, late ? "the deadline of the request is over" : "the client is gone"}, std::nullopt);
    }
    if (!picks.empty()) Run(std::move(picks));
  }
}

Result<EncodedText> Scheduler::Impl::EncodeText(const ServingModel& model, const TaskText& text,
                                                const EncodeTextOptions& options) {
  if (text.special_tokens.has_value()) return model.EncodeAlone(text.text, *text.special_tokens, options);
  std::optional<std::string> cut;
  std::optional<std::string> cut_pair;
  if (text.most_tokens > 0) {
    TV_ASSIGN_OR_RETURN(cut, model.CutToTokens(text.text, text.most_tokens));
  }
  if (text.most_pair_tokens > 0 && text.pair.has_value()) {
    TV_ASSIGN_OR_RETURN(cut_pair, model.CutToTokens(*text.pair, text.most_pair_tokens));
  }
  const std::string& first = cut.has_value() ? *cut : text.text;
  if (!text.pair.has_value()) return model.pipeline().Encode(first, options);
  return model.pipeline().EncodePair(first, cut_pair.has_value() ? *cut_pair : *text.pair, options);
}

// On an error `encoded` is set when the text is too long, and not set otherwise.
Status Scheduler::Impl::EncodeOne(TaskJob* job, size_t index) {
  TaskUnit& unit = job->units[index];
  const TaskText& text = job->request.texts[index];
  EncodeTextOptions options =
      job->request.encode_texts.empty() ? job->request.encode : job->request.encode_texts[index];
  const bool refuse_long = options.error_when_long;
  options.error_when_long = false;
  const Pipeline& pipeline = job->request.model->pipeline();
  const int64_t limit = options.max_length.value_or(pipeline.max_length());
  try {
    if (!text.ids.empty()) {
      EncodedText given;
      given.ids = text.ids;
      given.task = options.prompt.task;
      if (limit > 0 && static_cast<int64_t>(given.ids.size()) > limit) {
        given.truncated_tokens = static_cast<int64_t>(given.ids.size()) - limit;
        if (options.truncation_side == Side::kLeft) {
          given.ids.erase(given.ids.begin(), given.ids.end() - limit);
        } else {
          given.ids.resize(static_cast<size_t>(limit));
        }
      }
      unit.encoded = std::move(given);
    } else {
      TV_ASSIGN_OR_RETURN(unit.encoded, EncodeText(*job->request.model, text, options));
    }
  } catch (const std::bad_alloc&) {
    return ResourceError("out of memory while tokenising");
  }
  if (refuse_long && unit.encoded->truncated_tokens > 0) {
    return InputError("the text has " +
                      std::to_string(static_cast<int64_t>(unit.encoded->ids.size()) + unit.encoded->truncated_tokens) +
                      " tokens; the model takes " + std::to_string(limit));
  }
  return Status::Ok();
}

void Scheduler::Impl::Encode(const std::vector<Pick>& picks) {
  std::mutex mutex;
  std::vector<std::pair<size_t, Status>> failures;
  pool_.ParallelFor(static_cast<int64_t>(picks.size()), [&](int64_t i, int) {
    const Pick& pick = picks[static_cast<size_t>(i)];
    if (pick.job->units[pick.index].encoded.has_value()) return;
    Status status = EncodeOne(pick.job.get(), pick.index);
    if (status.ok()) return;
    const std::lock_guard lock(mutex);
    failures.emplace_back(static_cast<size_t>(i), std::move(status));
  });
  std::sort(failures.begin(), failures.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [i, status] : failures) {
    const auto& [job, index] = picks[i];
    if (job->answered) continue;
    const bool too_long = job->units[index].encoded.has_value();
    Fail(job, too_long ? TaskOutcome::kTooLong : TaskOutcome::kFailed, WithText(status, *job, index), index);
  }
}

void Scheduler::Impl::Run(std::vector<Pick> picks) {
  const auto start = Clock::now();
  Encode(picks);
  // Requests that failed leave the batch; their texts are done with.
  std::vector<Pick> run;
  std::vector<Pick> failed;
  for (const Pick& pick : picks) (pick.job->answered ? failed : run).push_back(pick);
  for (const Pick& pick : failed) Finish(pick);
  if (run.empty()) return;
  std::stable_sort(run.begin(), run.end(), [](const Pick& a, const Pick& b) {
    return a.job->units[a.index].encoded->ids.size() > b.job->units[b.index].encoded->ids.size();
  });
  const auto encoded = Clock::now();
  const Status status = RunBatch(run);
  if (!status.ok()) {
    // One request's fault must not be another's: each text alone.
    for (const Pick& pick : run) {
      if (pick.job->answered) continue;
      const Status alone = run.size() == 1 ? status : RunBatch({pick});
      if (!alone.ok()) Fail(pick.job, TaskOutcome::kFailed, WithText(alone, *pick.job, pick.index), pick.index);
    }
  }
  Note(run, encoded - start, Clock::now() - encoded);
  for (const Pick& pick : run) Finish(pick);
}

Status Scheduler::Impl::RunBatch(const std::vector<Pick>& picks) {
  Status status;
  try {
    status = Compute(picks, {&pool_, &arena_, nullptr});
  } catch (const std::bad_alloc&) {
    status = ResourceError("out of memory while computing");
  }
  arena_.Reset();
  return status;
}

Status Scheduler::Impl::Compute(const std::vector<Pick>& picks, const ExecContext& context) {
  const TaskRequest& request = picks.front().job->request;
  const Pipeline& pipeline = request.model->pipeline();
  std::vector<const EncodedText*> texts;
  for (const Pick& pick : picks) texts.push_back(&*pick.job->units[pick.index].encoded);
  if (request.kind == TaskKind::kDense || request.kind == TaskKind::kScore) {
    const auto rows = static_cast<int64_t>(texts.size());
    const int64_t width = picks.front().job->result.width;
    const Matrix out = context.arena->NewMatrix(rows, width);
    TV_RETURN_IF_ERROR(request.kind == TaskKind::kDense ? pipeline.Embed(texts, request.embed, context, out)
                                                        : pipeline.Score(texts, request.score, context, out));
    for (size_t i = 0; i < picks.size(); ++i) {
      TaskJob& job = *picks[i].job;
      job.result.values.resize(job.units.size() * static_cast<size_t>(width));
      std::copy_n(out.row(static_cast<int64_t>(i)), width,
                  job.result.values.begin() + static_cast<int64_t>(picks[i].index) * width);
    }
    return Status::Ok();
  }
  const auto deal = [&](const auto& all, int64_t per_entry, auto member) {
    for (size_t i = 0; i < picks.size(); ++i) {
      auto& target = ((*picks[i].job).*member)[picks[i].index];
      target.assign(all.first.begin() + all.second[i] * per_entry, all.first.begin() + all.second[i + 1] * per_entry);
    }
  };
  if (request.kind == TaskKind::kSparse) {
    TV_ASSIGN_OR_RETURN(const SparseVectors sparse, pipeline.EmbedSparse(texts, 0, context));
    deal(std::make_pair(sparse.values, sparse.offsets), 1, &TaskJob::rows);
    deal(std::make_pair(sparse.columns, sparse.offsets), 1, &TaskJob::row_columns);
    for (const Pick& pick : picks) pick.job->result.width = sparse.width;
    return Status::Ok();
  }
  TV_ASSIGN_OR_RETURN(const TokenVectors tokens, request.kind == TaskKind::kTokens
                                                     ? pipeline.EmbedTokens(texts, context)
                                                     : pipeline.EmbedMultiVector(texts, context));
  deal(std::make_pair(tokens.values, tokens.offsets), tokens.width, &TaskJob::rows);
  for (const Pick& pick : picks) pick.job->result.width = tokens.width;
  return Status::Ok();
}

void Scheduler::Impl::Note(const std::vector<Pick>& picks, Clock::duration encoding, Clock::duration computing) {
  BatchReport report;
  report.texts = picks.size();
  report.tokenize_time = encoding;
  report.inference_time = computing;
  TaskJob* last = nullptr;
  std::vector<TaskJob*> jobs;
  for (const auto& [job, index] : picks) {
    report.tokens += static_cast<int64_t>(job->units[index].encoded->ids.size());
    if (job.get() != last) jobs.push_back(job.get());
    last = job.get();
  }
  std::sort(jobs.begin(), jobs.end());
  jobs.erase(std::unique(jobs.begin(), jobs.end()), jobs.end());
  for (TaskJob* job : jobs) {
    job->result.tokenize_time += encoding;
    job->result.inference_time += computing;
  }
  const double seconds = std::chrono::duration<double>(encoding + computing).count();
  if (seconds > 0 && report.tokens > 0) {
    const double now = static_cast<double>(report.tokens) / seconds;
    // Small batches run slower than a full queue would, so they count less.
    const double weight = 0.3 * std::min(1.0, static_cast<double>(report.tokens) / kLeastBatchTokens);
    const std::lock_guard lock(mutex_);
    rate_ = rate_ == 0 ? now : rate_ + weight * (now - rate_);
  }
  if (on_batch_) on_batch_(report);
}

// Answers with an error. What is left in the queue is dropped when its turn comes.
void Scheduler::Impl::Fail(const TaskJobPtr& job, TaskOutcome outcome, const Status& status,
                           std::optional<size_t> text) {
  job->answered = true;
  {
    const std::lock_guard lock(mutex_);
    tokens_[static_cast<size_t>(job->lane)] -= job->tokens_left;
    job->tokens_left = 0;
    --requests_;
    texts_ -= job->units.size() - job->finished;
    bytes_ -= job->bytes;
    // Texts of it that are in the running batch are not counted again by Finish().
    job->finished = job->units.size();
  }
  TaskResult result;
  result.outcome = outcome;
  result.status = status;
  result.text = text;
  job->done(std::move(result));
}

void Scheduler::Impl::Finish(const Pick& pick) {
  const auto& [job, index] = pick;
  if (job->answered) return;
  const EncodedText& encoded = *job->units[index].encoded;
  job->result.text_tokens[index] = static_cast<int32_t>(encoded.ids.size());
  job->result.tokens += static_cast<int64_t>(encoded.ids.size());
  job->result.truncated_tokens += encoded.truncated_tokens;
  job->result.truncated_texts += encoded.truncated_tokens > 0 ? 1 : 0;
  job->units[index].encoded.reset();
  bool last = false;
  {
    const std::lock_guard lock(mutex_);
    --texts_;
    last = ++job->finished == job->units.size();
    if (last) {
      --requests_;
      bytes_ -= job->bytes;
    }
  }
  if (last) Answer(job);
}

void Scheduler::Impl::Answer(const TaskJobPtr& job) {
  TaskResult& result = job->result;
  if (!job->rows.empty()) {
    const bool sparse = job->request.kind == TaskKind::kSparse;
    result.offsets.push_back(0);
    for (size_t i = 0; i < job->rows.size(); ++i) {
      const auto size = static_cast<int64_t>(job->rows[i].size());
      result.offsets.push_back(result.offsets.back() + (sparse || result.width == 0 ? size : size / result.width));
      result.values.insert(result.values.end(), job->rows[i].begin(), job->rows[i].end());
      result.columns.insert(result.columns.end(), job->row_columns[i].begin(), job->row_columns[i].end());
    }
  }
  const auto now = Clock::now();
  result.queue_time = job->started.value_or(now) - job->submitted;
  result.total_time = now - job->submitted;
  job->answered = true;
  job->done(std::move(result));
}

Scheduler::Scheduler(const SchedulerOptions& options, std::function<void(const BatchReport&)> on_batch)
    : impl_(std::make_unique<Impl>(options, std::move(on_batch))) {}
Scheduler::~Scheduler() = default;
void Scheduler::Submit(TaskRequest request, TaskDone done) { impl_->Submit(std::move(request), std::move(done)); }
void Scheduler::Stop() { impl_->Stop(); }
SchedulerLoad Scheduler::load() const { return impl_->load(); }
ThreadPool* Scheduler::pool() { return impl_->pool(); }
const SchedulerOptions& Scheduler::options() const { return impl_->options(); }

}  // namespace truevec
