/** Starts a Trino server as its distribution does: the library has no `main`. */
public final class Start {
    public static void main(String[] args) throws Exception {
        Object server = Class.forName("io.trino.server.Server").getConstructor().newInstance();
        server.getClass().getMethod("start", String.class).invoke(server, args[0]);
    }
}
