// retort pack: a folder of images, or any data set, as one mapped file.
#include <ostream>

#include "cli/arguments.h"
#include "data/pack.h"
#include "retort/core/error.h"
#include "retort/core/records.h"

namespace retort::cli {

int run_pack(const Environment& environment, const Arguments& arguments) {
  data::PackInput input;
  std::string source, out;
  MachineOptions machine;
  OptionSet set;
  set.group("Pack");
  set.add("repeat", input.repeat, "times that every training image is written, for measurements",
          {.min = 1, .max = 1e6});
  input.data.declare(set);
  machine.declare(set);
  const Usage usage{
      "pack", "Writes a data set into one file of bytes, for data larger than memory.",
      "Examples:\n  retort pack imagenet/ imagenet.pack --resolution 224\n"
      "  retort squeeze --data imagenet.pack --network resnet18-bn-imagenet --out teacher/\n\n"
      "Packing that was stopped or killed goes on when the same command is given again.\n"};
  if (!parse(environment, usage, arguments, set,
             {{"source", "a data set's folder or .npz file, or shapes", &source, true},
              {"out", "the file to write", &out, true}}))
    return 0;
  machine.apply(environment);
  input.data.data = source;
  input.out = out;
  input.progress = environment.progress();
  input.stop = environment.stop;
  const data::PackOutcome outcome = data::pack(input);
  if (outcome.stopped) return say_stopped(environment);
  if (machine.json)
    environment.out << json_text(Json{{"out", out},
                                      {"notes", outcome.notes},
                                      {"images", outcome.images},
                                      {"bytes", outcome.bytes},
                                      {"already_finished", !outcome.made}},
                                 2)
                    << "\n";
  else {
    for (const std::string& note : outcome.notes) environment.out << "note: " << note << "\n";
    environment.out << fmt::format("{}{} images, {}: {}\n",
                                   outcome.made ? "" : "it was packed before: ", outcome.images,
                                   format_bytes(static_cast<double>(outcome.bytes)), out);
  }
  return 0;
}

}  // namespace retort::cli
