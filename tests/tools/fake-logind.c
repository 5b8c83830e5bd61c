// As much of logind as a test of the machine's end needs, on the bus of DBUS_SYSTEM_BUS_ADDRESS.
//
//   fake-logind SECONDS    how long it would wait (InhibitDelayMaxUSec)
//
// Lines on standard output: "ready"; "inhibit WHAT WHO MODE" for each lock that is taken, and
// "released" when it is let go. Lines on standard input: "down" and "up" send PrepareForShutdown.
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#define NAME    "org.freedesktop.login1"
#define PATH    "/org/freedesktop/login1"
#define MANAGER "org.freedesktop.login1.Manager"

struct logind {
    sd_event *loop;
    sd_bus *bus;
    uint64_t delay_usec;
    int down; // PreparingForShutdown
    char line[64];
    size_t length;
};

static void check(int r, const char *what)
{
    if (r >= 0)
        return;
    fprintf(stderr, "fake-logind: %s: %s\n", what, strerror(-r));
    exit(1);
}

static void say(const char *line)
{
    puts(line);
    fflush(stdout);
}

static int on_hang_up(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    say("released");
    sd_event_source_disable_unref(source);
    close(fd);
    return 0;
}

static int on_inhibit(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct logind *l = userdata;
    const char *what, *who, *why, *mode;
    int fds[2];
    sd_event_source *source = NULL;
    check(sd_bus_message_read(m, "ssss", &what, &who, &why, &mode), "Inhibit");
    check(pipe2(fds, O_CLOEXEC) < 0 ? -errno : 0, "pipe");
    check(sd_event_add_io(l->loop, &source, fds[0], 0, on_hang_up, l), "event loop");
    printf("inhibit %s %s %s\n", what, who, mode);
    fflush(stdout);
    int r = sd_bus_reply_method_return(m, "h", fds[1]);
    close(fds[1]);
    return r;
}

static const sd_bus_vtable vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Inhibit", "ssss", "h", on_inhibit, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_PROPERTY("InhibitDelayMaxUSec", "t", NULL, offsetof(struct logind, delay_usec),
                    SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("PreparingForShutdown", "b", NULL, offsetof(struct logind, down), 0),
    SD_BUS_SIGNAL("PrepareForShutdown", "b", 0),
    SD_BUS_VTABLE_END,
};

static void obey(struct logind *l)
{
    l->down = strcmp(l->line, "down") == 0;
    check(sd_bus_emit_signal(l->bus, PATH, MANAGER, "PrepareForShutdown", "b", l->down), "signal");
}

static int on_input(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    struct logind *l = userdata;
    char c;
    if (read(fd, &c, 1) <= 0)
        return sd_event_exit(l->loop, 0);
    if (c != '\n') {
        if (l->length < sizeof(l->line) - 1)
            l->line[l->length++] = c;
        return 0;
    }
    l->line[l->length] = '\0';
    l->length = 0;
    obey(l);
    return 0;
}

int main(int argc, char **argv)
{
    struct logind l = {.delay_usec = argc > 1 ? strtoull(argv[1], NULL, 10) * 1000000 : 5000000};
    check(sd_event_new(&l.loop), "event loop");
    check(sd_bus_open_system(&l.bus), "bus");
    check(sd_bus_attach_event(l.bus, l.loop, SD_EVENT_PRIORITY_NORMAL), "event loop");
    check(sd_bus_add_object_vtable(l.bus, NULL, PATH, MANAGER, vtable, &l), "object");
    check(sd_bus_request_name(l.bus, NAME, 0), "name");
    check(sd_event_add_io(l.loop, NULL, STDIN_FILENO, 1 /* EPOLLIN */, on_input, &l), "input");
    say("ready");
    check(sd_event_loop(l.loop), "event loop");
    sd_bus_flush_close_unref(l.bus);
    sd_event_unref(l.loop);
    return 0;
}
