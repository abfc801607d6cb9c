#include "methods/descending.h"

#include <fmt/format.h>

#include <optional>

#include "core/note.h"
#include "core/safe_point.h"
#include "methods/outer_loop.h"
#include "methods/previews.h"
#include "methods/runaway.h"
#include "methods/start.h"
#include "retort/core/device.h"

namespace retort::methods {
namespace {

/// What is to be expected, said once some iterations have been measured: the first are slower.
void say_estimate(const Run& run, int64_t measured, int64_t left) {
  const double each = run.seconds_of_start() / static_cast<double>(measured);
  if (!run.input.how.progress.out || each * static_cast<double>(left) < 60) return;
  *run.input.how.progress.out << fmt::format(
      "{}expected: {} for {} more iterations of {}, peak memory {} so far\n",
      run.input.how.progress.terminal ? "\r\033[K" : "",
      format_duration(each * static_cast<double>(left)), left, format_duration(each),
      format_bytes(static_cast<double>(peak_memory_bytes())));
}

/// Seconds that earlier starts spent up to `iteration`.
double seconds_through(const std::vector<Json>& records, int64_t iteration) {
  double seconds = 0;
  for (const Json& record : records)
    if (record.value("kind", "") == "iteration" &&
        record.value("iteration", int64_t{0}) <= iteration && record.contains("seconds") &&
        record["seconds"].is_number())
      seconds = record["seconds"];
  return seconds;
}

/// Says once in a run, over all of its starts, that something runs away.
class Warner {
 public:
  Warner(const Run& run, std::optional<Records>& records) : run_(run), records_(records) {
    said_ = !run.input.how.group->first();
    if (said_) return;
    for (const Json& record : read_records(run.folder.records()))
      said_ = said_ || record.value("kind", "") == "warning";
  }
  void look(const at::Tensor& images, const std::vector<synthetic::ParameterGroup>& learned,
            int64_t iterations) {
    if (said_) return;
    const std::optional<std::string> text = runaway(images, learned, iterations);
    if (!text) return;
    said_ = true;
    records_->write({{"kind", "warning"}, {"iteration", iterations}, {"text", *text}});
    const ProgressStyle& style = run_.input.how.progress;
    if (style.out)
      *style.out << (style.terminal ? "\r\033[K" : "") << "warning: " << *text << "\n"
                 << std::flush;
  }

 private:
  const Run& run_;
  std::optional<Records>& records_;
  bool said_ = false;
};

/// A descent under way: the loop, and what it leaves in the folder.
class Descending {
 public:
  /// Starts, or takes the checkpoint up that an earlier start left.
  Descending(Run& run, std::unique_ptr<synthetic::Parametrisation> parametrisation,
             std::unique_ptr<Objective> objective);
  DistillOutcome run();

 private:
  synthetic::Bundle bundle_of(Decoded set) const;
  synthetic::Bundle bundle_now() const { return bundle_of(loop_->result()); }
  void open();
  void checkpoint();
  void record(double loss);
  void keep_row();
  void validate();
  bool due(int64_t every) const { return done_ % every == 0 || done_ == options_.iterations; }

  Run& run_;
  const DistillOptions& options_;
  const RunSettings& how_;
  const ProcessGroup& group_;
  const bool resuming_;
  int64_t done_ = 0;
  std::optional<OuterLoop> loop_;
  std::optional<Records> records_;  // of the first process
};

Descending::Descending(Run& run, std::unique_ptr<synthetic::Parametrisation> parametrisation,
                       std::unique_ptr<Objective> objective)
    : run_(run),
      options_(run.input.options),
      how_(run.input.how),
      group_(*how_.group),
      resuming_(group_.agree(std::filesystem::exists(run.folder.checkpoint())) != 0) {
  if (!resuming_) start(run.input, *parametrisation, *objective);
  loop_.emplace(options_, std::move(parametrisation), std::move(objective), group_);
  open();
}

void Descending::open() {
  OuterLoop::Resumed resumed;
  if (resuming_) resumed = loop_->load(run_.folder.checkpoint(), run_.input.data.hash);
  say_note(how_.progress, resumed.note);
  done_ = resumed.iteration;
  if (!group_.first()) return;
  run_.folder.update_recipe();  // only now: a checkpoint that does not fit changes nothing
  // Without a checkpoint nothing that an earlier start recorded counts.
  records_.emplace(run_, resuming_ ? done_ : -1);
  run_.seconds_before = seconds_through(read_records(run_.folder.records()), done_);
  if (resuming_) return;
  save_preview(run_.folder.images() / "initial.png", bundle_now());
  keep_row();
  records_->write(opening_record(run_, bundle_now()));
  loop_->save(run_.folder.checkpoint(), done_, run_.input.data.hash);
}

void Descending::checkpoint() {
  loop_->collect();
  if (group_.first()) loop_->save(run_.folder.checkpoint(), done_, run_.input.data.hash);
}

synthetic::Bundle Descending::bundle_of(Decoded set) const {
  synthetic::Bundle bundle = make_bundle(run_, set.images);
  if (bundle.parametrisation != "pixels") bundle.compact = std::move(set.compact);
  loop_->objective().complete(bundle);
  bundle.storage_bytes = bundle.stored_bytes();
  return bundle;
}

void Descending::record(double loss) {
  if (!records_) return;
  records_->write({{"kind", "iteration"},
                   {"iteration", done_},
                   {"loss", loss},
                   {"seconds", run_.seconds()},
                   {"peak_memory_bytes", peak_memory_bytes()}});
}

/// After collect().
void Descending::keep_row() {
  if (!records_) return;
  save_row(run_.folder.images(), done_, loop_->result().images, run_.layout,
           run_.input.data.preprocessing);
}

void Descending::validate() {
  loop_->collect();
  if (!records_) return;
  save_preview(run_.folder.images() / fmt::format("{:06d}.png", done_), bundle_now());
  Json record = how_.validate(bundle_now());
  record["kind"] = "validation";
  record["iteration"] = done_;
  records_->write(record);
}

DistillOutcome Descending::run() {
  Progress progress(how_.progress, options_.method, options_.iterations, done_);
  Warner warner(run_, records_);
  constexpr int64_t kMeasured = 3;
  int64_t measured = 0;
  double loss = 0;
  while (done_ < options_.iterations) {
    std::optional<SafePointAhead> ahead(std::in_place);
    loss = loop_->step(done_++);
    warner.look(loop_->images(), loop_->learned(), done_ - 1);
    progress.update(done_, loss);
    if (how_.iteration) how_.iteration(done_, loss);
    if (++measured == kMeasured) say_estimate(run_, measured, options_.iterations - done_);
    const bool stop = group_.any(how_.stop && how_.stop->requested());
    if (due(options_.record_every)) record(loss);
    if (keeps_row(done_) || done_ == options_.iterations) {
      loop_->collect();
      keep_row();
    }
    if (how_.validate && options_.validate_every > 0 && done_ % options_.validate_every == 0) {
      ahead.reset();  // it may take minutes
      validate();
    }
    if (due(options_.checkpoint_every) || stop) checkpoint();
    if (stop && done_ < options_.iterations) return {{}, true, done_, loss, run_.seconds()};
  }
  loop_->collect();
  synthetic::Bundle bundle = bundle_now();
  warner.look(bundle.images, loop_->learned(), done_);
  if (std::optional<Decoded> set = records_ ? loop_->not_averaged() : std::nullopt)
    synthetic::save_bundle(run_.folder.not_averaged(), bundle_of(std::move(*set)));
  return finish(run_, records_, std::move(bundle), {done_, loss, loop_->moved()});
}

}  // namespace

DistillOutcome descend(Run& run, std::unique_ptr<synthetic::Parametrisation> parametrisation,
                       std::unique_ptr<Objective> objective) {
  return Descending(run, std::move(parametrisation), std::move(objective)).run();
}

}  // namespace retort::methods
