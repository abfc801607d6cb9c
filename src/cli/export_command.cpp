// retort export: a bundle in the formats that other programs read.
#include <ostream>

#include "cli/arguments.h"
#include "retort/core/records.h"
#include "retort/synthetic/bundle.h"

namespace retort::cli {

int run_export(const Environment& environment, const Arguments& arguments) {
  std::string target, format = "pt", out;
  bool json = false;
  OptionSet set;
  set.add("format", format,
          "png: folders of 8-bit pictures; npz; pt: torch.load(weights_only=True) reads it",
          {.choices = synthetic::export_formats()});
  set.add("out", out, "the file or folder to write");
  set.add("json", json, "print one JSON document on standard output");
  const Usage usage{"export", "Writes a set in a format that other programs read.",
                    "Examples:\n  retort export runs/a --format pt --out a.pt\n"
                    "  retort export runs/a --format png --out pictures/\n"};
  if (!parse(environment, usage, arguments, set,
             {{"bundle", "a run folder or a bundle", &target, true}}))
    return 0;
  Problems problems;
  if (out.empty()) problems.add("missing: --out, the file or folder to write");
  problems.raise("reading the options of 'retort export'");
  const synthetic::Bundle bundle = synthetic::load_bundle(bundle_of(target));
  synthetic::export_bundle(bundle, format, out);
  if (json) {
    environment.out
        << json_text(Json{{"out", out}, {"format", format}, {"images", bundle.images.size(0)}}, 2)
        << "\n";
  } else {
    environment.out << fmt::format("{} images to {}\n", bundle.images.size(0), out);
  }
  return 0;
}

}  // namespace retort::cli
