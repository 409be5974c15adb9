import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.Map;
import kafka.server.KafkaConfig;
import org.apache.kafka.common.network.ListenerName;
import org.apache.kafka.common.security.JaasContext;
import org.apache.kafka.common.security.oauthbearer.BrokerJwtValidator;

/**
 * A broker's token validator by itself, because a broker tells clients no reason. Reads `[{properties, token}, …]`,
 * prints `[{principal} or {error}, …]`.
 */
public final class Validator {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final ListenerName LISTENER = ListenerName.normalised("SASL_SSL");

    public static void main(String[] args) throws Exception {
        var answers = JSON.createArrayNode();
        for (JsonNode one : JSON.readTree(System.in)) {
            answers.add(JSON.valueToTree(judge(JSON.convertValue(one.get("properties"), Map.class), one.get("token").asText())));
        }
        System.out.println(answers);
        // The thread that fetches the keys would keep the process alive.
        System.exit(0);
    }

    /** Judges a token as a broker with these properties does. */
    private static Map<String, ?> judge(Map<?, ?> properties, String token) {
        try (BrokerJwtValidator validator = new BrokerJwtValidator()) {
            Map<String, ?> settings = new KafkaConfig(properties, false).valuesWithPrefixOverride(LISTENER.configPrefix());
            var jaas = JaasContext.loadServerContext(LISTENER, "OAUTHBEARER", settings).configurationEntries();
            validator.configure(settings, "OAUTHBEARER", jaas);
            return Map.of("principal", validator.validate(token).principalName());
        } catch (Exception refusal) {
            return Map.of("error", refusal.toString());
        }
    }
}
