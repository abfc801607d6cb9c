// What `retort distill` prints of a run.
#include <ostream>

#include "cli/distill_command.h"
#include "cli/run_report.h"
#include "core/registry.h"
#include "retort/core/device.h"
#include "retort/eval/evaluate.h"

namespace retort::cli {
namespace {

Json summary_json(const methods::DistillOutcome& outcome, const DistillSettings& settings,
                  const std::filesystem::path& file, const synthetic::Bundle& bundle) {
  Json storage = Json::object();
  for (const auto& [name, bytes] : bundle.storage()) storage[name] = bytes;
  return {{"out", settings.out},
          {"bundle", file.string()},
          {"method", bundle.method},
          {"data", bundle.data_name},
          {"images", bundle.images.size(0)},
          {"classes", bundle.classes()},
          {"iterations", outcome.iteration},
          {"stopped", outcome.stopped},
          {"seconds", outcome.seconds},
          {"loss", outcome.loss},
          {"storage_bytes", bundle.storage_bytes},
          {"images_per_class_equivalents", bundle.images_per_class_equivalents()},
          {"storage", storage},
          {"peak_memory_bytes", peak_memory_bytes()}};
}

/// What a set that is not pixels stores, a line for each component.
std::string storage_text(const synthetic::Bundle& bundle) {
  if (bundle.compact.empty()) return {};
  std::string text;
  const double whole = bundle.images_per_class_equivalents();
  for (const auto& [name, bytes] : bundle.storage())
    text +=
        fmt::format("  stored   {}: {}, as {:.3g} images per class\n", name,
                    format_bytes(static_cast<double>(bytes)),
                    whole * static_cast<double>(bytes) / static_cast<double>(bundle.storage_bytes));
  return text + fmt::format("  in all   as {:.4g} images per class\n", whole);
}

/// How to judge the set; students of a post-training learn a teacher's labels, which have to be
/// asked for.
std::string next_text(const DistillSettings& settings, const std::string& run) {
  const std::string judge = "retort eval " + run + " --data " + settings.data.data;
  const auto& protocol =
      find_entry(std::span(eval::protocols()), "protocol", settings.loop().protocol);
  if (!protocol.post) return "  next     " + judge + "\n";
  const Option* given = settings.options.find("teacher");
  const std::string teacher =
      given && !given->text().empty() ? given->text() : std::string("TEACHER");
  return fmt::format(
      "  next     {} --teacher {}     # students learn the teacher's labels, live\n"
      "      or   retort relabel {} --teacher {}     # stores them; then eval needs no teacher\n"
      "           with neither, students learn the hard labels, which protocol '{}' is not made "
      "for\n",
      judge, teacher, run, teacher, settings.loop().protocol);
}

/// What the run warned of, whenever that was.
std::vector<std::string> warnings_of(const std::filesystem::path& folder) {
  std::vector<std::string> texts;
  for (const Json& record : read_records(folder / "records.jsonl"))
    if (record.value("kind", "") == "warning") texts.push_back(record.value("text", ""));
  return texts;
}

}  // namespace

void print_result(const Environment& environment, const DistillSettings& settings,
                  const methods::DistillOutcome& outcome) {
  const std::filesystem::path file = bundle_of(settings.out);
  const synthetic::Bundle bundle = synthetic::load_bundle(file);
  const auto page = write_report(settings.out);
  const std::vector<std::string> warnings = warnings_of(settings.out);
  if (settings.machine.json) {
    Json summary = summary_json(outcome, settings, file, bundle);
    summary["warnings"] = warnings;
    summary["already_finished"] = outcome.was_finished;
    summary["report"] = page.string();
    environment.out << json_text(summary, 2) << "\n";
    return;
  }
  environment.out << fmt::format("{}{} images of {} classes from {} by {}, {}\n",
                                 outcome.was_finished ? "this run was finished before: " : "",
                                 bundle.images.size(0), bundle.classes(), bundle.data_name,
                                 bundle.method,
                                 format_bytes(static_cast<double>(bundle.storage_bytes)))
                  << storage_text(bundle) << "  set      " << file.string() << "\n"
                  << "  report   " << page.string() << "\n"
                  << next_text(settings, settings.out);
  for (const std::string& warning : warnings) environment.out << "warning: " << warning << "\n";
}

}  // namespace retort::cli
