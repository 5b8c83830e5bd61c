// What a look at the files means for each pod: nothing, not yet, or that it is due.
#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "supervisor/changes-internal.h"

struct judgement {
    size_t changed, missing;
    monotime content_at;
    struct buffer why;
};

static void judge_volume(const struct changes *ch, struct volume_use *volume, struct judgement *j)
{
    const struct target *target = changes_target(ch, volume->path);
    struct files_difference difference;
    _cleanup_buffer_ struct buffer names = BUFFER_EMPTY;
    volume->changed = volume->replaced = false;
    if (!target || !target->looked || !volume->known)
        return;
    files_compare(&volume->files, &target->files, &names, &difference);
    volume->changed = difference.changed > 0;
    volume->replaced = difference.root_replaced;
    j->changed += difference.changed;
    j->missing += difference.missing;
    if (!volume->changed)
        return;
    j->content_at.usec = MAX(j->content_at.usec, target->changed.usec);
    buffer_printf(&j->why, "%s%s%s%s%s", j->why.len ? "; " : "", volume->path,
                  names.len ? " (" : "", buffer_str(&names), names.len ? ")" : "");
}

// True while a missing file holds the pod back.
static bool is_held_back(struct watched_pod *p, const struct judgement *j, monotime now)
{
    if (j->missing == 0) {
        p->missing = (monotime){0};
        return false;
    }
    if (!p->missing.usec)
        p->missing = now;
    return monotime_since(now, p->missing) < MISSING_USEC;
}

static void meet_pod(const struct changes *ch, struct watched_pod *p)
{
    bool news = false;
    LIST_EACH (volume, &p->volumes) {
        const struct target *target = changes_target(ch, volume->path);
        if (volume->known || !target || !target->looked)
            continue;
        volume->known = news = true;
        files_copy(&volume->files, &target->files);
    }
    if (news)
        changes_save(ch, p);
}

void changes_meet(struct changes *ch)
{
    LIST_EACH (p, &ch->pods)
        meet_pod(ch, p);
}

static void judge_pod(const struct changes *ch, struct watched_pod *p, monotime now)
{
    struct judgement j = {0};
    LIST_EACH (volume, &p->volumes)
        judge_volume(ch, volume, &j);
    bool held_back = is_held_back(p, &j, now);
    p->due = j.changed > 0 && !held_back;
    if (p->due) {
        free(p->why);
        p->why = xstrdup(buffer_str(&j.why));
        // What this agent has seen from the beginning, containers that it started know.
        p->content_at.usec = MAX(j.content_at.usec, p->since.usec);
    }
    buffer_free(&j.why);
}

void changes_judge(struct changes *ch, monotime now)
{
    LIST_EACH (p, &ch->pods)
        judge_pod(ch, p, now);
    changes_roll_on(ch);
}

monotime changes_missing_due(const struct changes *ch)
{
    monotime due = MONOTIME_NEVER;
    monotime now = monotime_now();
    LIST_EACH (p, &ch->pods) {
        bool waits = p->missing.usec && monotime_since(now, p->missing) < MISSING_USEC;
        if (waits)
            due = monotime_min(due, monotime_add_usec(p->missing, MISSING_USEC));
    }
    return due;
}
